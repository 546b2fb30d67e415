"""Every check finds a fault that was planted, and says what to do about it."""

import pytest

import qcore.testing
import qcore_kit.testing
from qcore import Host
from qcore.testing import Conformance, conformance_of, run_checks

FREE = """
def free() -> Model:
    from dataclasses import replace

    from onnx import helper

    model = zoo.example()
    values = [helper.make_tensor_value_info(name, 1, ["batch", 3, 12, 12]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "free", values[:1], values[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    tensor = replace(model.contract.inputs[0], shape=("batch", 3, 12, 12))
    contract = replace(model.contract, inputs=(tensor,), outputs=(replace(tensor, name="y"),))
    return model.evolve(module=proto, contract=contract)


"""
FAULTS = {
    # what any component declares
    ("backend", "test_the_declaration_can_be_read"): [("slow and exact", "Slow and exact.")],
    ("loader", "test_the_declaration_can_be_read"): [('"factor on all scores"', '""')],
    ("loader", "test_defaults_are_values_of_their_options"): [("1.0, float", '"one", float')],
    ("backend", "test_requirements_can_be_installed"): [('"onnx", "onnx"', '"onnx", "onyx"')],
    ("backend", "test_listing_imports_nothing_heavy"): [("from collections.abc import Iterator\n", "import onnx\nfrom collections.abc import Iterator\n")],
    ("backend", "test_the_component_has_the_methods_of_its_kind"): [("*, options: Mapping[str, Any]) -> Session", "settings: Any) -> Session")],
    # loaders
    ("loader", "test_it_recognises_its_file"): [('return f"Mynet', 'return None and f"Mynet')],
    ("loader", "test_the_model_is_what_was_declared"): [('produces=Form("onnx", encoding="float"', 'produces=Form("onnx", encoding="qdq"')],
    ("loader", "test_the_same_file_gives_the_same_contract"): [
        ('classes=tuple(content["classes"]),', 'classes=tuple(content["classes"]),\n            provenance={"at": __import__("time").perf_counter()},')
    ],
    ("loader", "test_damaged_files_are_refused_by_name"): [("except (ValueError, TypeError, KeyError, RecursionError) as error", "except KeyError as error")],
    # formats
    ("format", "test_what_is_written_is_read_again"): [("model.contract.to_dict()", "{**model.contract.to_dict(), 'classes': ['more']}")],
    ("format", "test_it_writes_only_where_it_was_told"): [("        return [path]", '        path.with_suffix(".more").write_text("more")\n        return [path]')],
    ("format", "test_writing_twice_gives_the_same_bytes"): [('"mynet": 1, KEY', '"mynet": __import__("time").perf_counter(), KEY')],
    ("format", "test_cut_files_are_refused"): [("json.loads(read_text(path))", "json.JSONDecoder().raw_decode(read_text(path))[0]"), ("json.dumps(document)", "json.dumps(document) + ' and the weights'")],
    ("format", "test_damaged_bytes_are_refused_or_read"): [("except (ValueError, TypeError, KeyError, RecursionError) as error", "except KeyError as error")],
    ("format", "test_other_files_are_not_its_own"): [("return stream.read(len(HEAD)) == HEAD.encode()", "return stream.read(1) == b'{'")],
    ("format", "test_nothing_in_a_file_is_run"): [('        """The document, checked', '        __import__("pickle").loads(path.read_bytes()) if path.read_bytes()[:1] == b"\\x80" else None\n        """The document, checked')],
    # converters
    ("converter", "test_the_result_has_the_declared_form"): [('format="mynet"', 'format="other"')],
    ("converter", "test_the_classes_and_the_task_stay"): [("module=weights)", 'module=weights, contract=replace(model.contract, task="other"))')],
    ("converter", "test_the_model_it_was_given_stays"): [("        return model.evolve", '        object.__setattr__(model, "form", replace(model.form, precision="f16"))\n        return model.evolve')],
    # quantizers
    ("quantizer", "test_the_contract_is_kept"): [("        return model.evolve(", '        from dataclasses import replace\n\n        model = model.evolve(contract=replace(model.contract, classes=("more",)))\n        return model.evolve(')],
    ("quantizer", "test_the_same_inputs_give_the_same_result"): [('batches, "minmax")', "batches, next(METHODS))"), ("class Mynet:", "from itertools import cycle\n\nMETHODS = cycle(['minmax', 'moving-average'])\n\n\nclass Mynet:")],
    ("quantizer", "test_the_order_of_the_inputs_does_not_matter"): [("progress.track(calibration,", "progress.track(list(calibration)[:2],")],
    ("quantizer", "test_scales_do_not_follow_the_input"): [("zoo.written(result", "dynamic(result"), ("class TestMynet", "def dynamic(result: Model, _: str) -> Model:\n    return zoo.example()\n\n\nclass TestMynet")],
    ("quantizer", "test_layers_that_are_excluded_stay_float"): [("excluded=left_float(graph, options)", "excluded=()")],
    # backends
    ("backend", "test_outputs_are_those_of_the_contract"): [('executed_precision = "f32"', 'executed_precision = ""')],
    ("backend", "test_outputs_equal_the_reference"): [("strict=True))", "strict=True)) | {n: 1.01 * v for n, v in zip(names, self._evaluator.run(names, dict(inputs)))}")],
    ("backend", "test_a_batch_is_its_inputs_side_by_side"): [
        ("return zoo.example()", "return free()"),
        ("class TestMynet", FREE + "class TestMynet"),
        ("dict(inputs)", "{name: value[:1].repeat(len(value), 0) for name, value in inputs.items()}"),
    ],
    ("backend", "test_several_threads_can_run_it"): [
        ("        with self._lock:\n            return dict(", "        self.given = dict(inputs)\n        __import__('time').sleep(0.002)\n        inputs = self.given\n        if True:\n            return dict(")
    ],
    ("backend", "test_inputs_and_earlier_outputs_stay"): [("        names = self._evaluator", "        inputs['x'] *= 0.5\n        names = self._evaluator")],
    ("backend", "test_wrong_inputs_are_refused"): [("if name not in inputs or inputs[name].ndim != rank:", "if name not in inputs:"), ("dict(inputs)", "{n: v.reshape(v.shape[-4:]) for n, v in inputs.items()}")],
    ("backend", "test_a_session_gives_its_memory_back"): [("        return Session(", "        KEPT.append(Session("), (".contract.inputs})", ".contract.inputs}))\n        return KEPT[-1]"), ("class Session:", "KEPT: list[Any] = []\n\n\nclass Session:")],
    # preprocessors
    ("preprocessor", "test_an_input_expands_to_itself"): [("else [source]", "else [source, source]")],
    ("preprocessor", "test_tensors_are_those_of_the_contract"): [("[None]})", "})")],
    ("preprocessor", "test_preparing_leaves_the_input_alone"): [("        return Prepared(", "        raw *= 2\n        return Prepared(")],
    ("preprocessor", "test_the_same_input_gives_the_same_tensors"): [("np.float32(self._scale)", "np.random.random(3).astype(np.float32)")],
    ("preprocessor", "test_unreadable_inputs_are_named"): [("        except (OSError, ValueError) as error:", "        except FileNotFoundError as error:")],
    ("preprocessor", "test_unusual_sizes_are_prepared_or_refused"): [("raise UsageError(", "raise ValueError(")],
    # postprocessors
    ("postprocessor", "test_each_input_has_one_result"): [("        return results", "        return [each for each in results if each.get('probability', 0) > 0.6]")],
    ("postprocessor", "test_the_order_of_a_batch_is_kept"): [("        return results", "        return results[::-1]")],
    ("postprocessor", "test_outputs_are_left_alone"): [("        results: list", "        outputs[self._name][:] *= 2\n        results: list")],
    ("postprocessor", "test_values_that_are_no_numbers_are_not_results"): [("if not np.isfinite(row).all():", "if False:")],
    ("postprocessor", "test_noise_is_survived"): [("            powers = np.exp(", "            if row.min() < 0: raise ValueError('large')\n            powers = np.exp(")],
    # evaluators, verifiers, commands
    ("evaluator", "test_figures_are_plain_numbers"): [('figure = "accuracy"', 'figure = "precision"')],
    ("evaluator", "test_right_results_score_higher_than_none"): [("sum(self._right.values())", "-sum(self._right.values())")],
    ("evaluator", "test_the_order_of_adding_does_not_matter"): [('{"accuracy": ', '{"first": next(iter(self._right)), "accuracy": ')],
    ("evaluator", "test_data_that_are_missing_are_named"): [("labels = json.loads(read_text(data))", "labels = json.loads(Path(data).read_text())")],
    ("verifier", "test_what_is_right_passes"): [("if name not in after", "if name in after")],
    ("verifier", "test_a_fault_is_found"): [("if lost :=", "if False and (lost :="), ("after.contract.classes]:", "after.contract.classes]):")],
    ("command", "test_help_can_be_printed"): [('help="a checkpoint or an exported file"', 'help="100% of a file"')],
    ("command", "test_the_example_can_be_parsed"): [('"qcore mynet model.onnx"', '"qcore mynet --of model.onnx"')],
    # the kit's kinds
    ("analyzer", "test_rows_name_layers"): [('{"layer": layer.layer', '{"layer": "same"')],
    ("layout", "test_it_is_found_by_its_outputs"): [('matches=(("mynet"', 'matches=(("other"')],
    ("layout", "test_boxes_and_scores_have_one_row_for_each_other"): [("rows[..., -4:], rows", "rows[..., -5:], rows")],
    ("layout", "test_a_batch_is_read_element_by_element"): [("rows[..., -4:], rows", "rows[::-1, :, -4:], rows")],
    ("layout", "test_torch_and_numpy_give_the_same"): [("rows[..., -4:], rows", "rows[..., -4:] + (1 if hasattr(rows, 'detach') else 0), rows")],
    ("layout", "test_reading_leaves_the_outputs_alone"): [("        return rows", "        rows += 1\n        return rows")],
    ("linter", "test_rules_are_documented"): [("    Why: the device", "    The device")],
    ("linter", "test_findings_can_be_shown"): [("if size > LIMIT:", "if True:"), ("the file has {size / 2**20:.0f} MiB", "")],
    ("observer", "test_it_takes_part_where_it_is_asked_for"): [("None, Path", 'Path("log"), Path')],
    ("observer", "test_it_gives_the_files_that_it_wrote"): [("return [self._path]", "return [self._path / 'more']")],
    ("probe", "test_inner_tensors_can_be_asked_for"): [("frozenset(name for node in proto.graph.node for name in node.output if name)", "frozenset()")],
    ("profile", "test_the_profile_is_named_like_its_component"): [('profile="mynet"', 'profile="other"')],
    ("profile", "test_the_zoo_is_written_and_near_float"): [("        super().__init__(PROFILE)", "        super().__init__(PROFILE)\n\n    def convert(self, model, **more):\n        made = super().convert(model, **more)\n        for tensor in made.module.graph.initializer:\n            if 'scale' in tensor.name:\n                from onnx import numpy_helper\n\n                tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * 8, tensor.name))\n        return made")],
    ("profile", "test_the_zoo_runs_and_agrees"): [
        ("from qcore.plugin import Form, Requirement, hookimpl", "from qcore.plugin import BackendSpec, Form, Requirement, hookimpl"),
        ("@hookimpl\ndef qcore_profiles", '@hookimpl\ndef qcore_backends():\n    yield BackendSpec(name="wrong", summary="Wrong", factory="qcore_mynet.component:Wrong", accepts=(Form("onnx", encoding="qdq", profile="mynet"),))\n\n\n@hookimpl\ndef qcore_profiles'),
        ("class Mynet(", "class Wrong:\n    executed_precision = 'int8'\n\n    def compile(self, model, *, options):\n        from qcore_kit.quantization.literal import literal\n\n        self.literal = literal(model.module)\n        return self\n\n    def run(self, inputs):\n        return {name: 2 * value for name, value in self.literal.run(inputs).items()}\n\n\nclass Mynet("),
    ],
    ("reporter", "test_a_report_is_one_file"): [("        path.write_text(", "        path.with_suffix('.more').touch()\n        path.write_text(")],
    ("reporter", "test_names_from_files_are_text"): [('suffix=".md"', 'suffix=".html"'), ('.replace("<", "&lt;")', "")],
    ("result", "test_records_are_plain"): [('float(result["probability"])', "object()")],
    ("result", "test_a_drawing_is_one_file"): [("        path.write_text(", "        path.with_suffix('.more').touch()\n        path.write_text(")],
    ("tuner", "test_it_takes_part_where_it_is_asked_for"): [("None, int", "1, int")],
}  # fmt: skip
"""(kind, check) -> what is changed in the package that `qcore new-plugin` writes."""


@pytest.fixture(autouse=True)
def own_host(monkeypatch):
    monkeypatch.setattr(Conformance, "host", Host())


def test_every_check_has_a_planted_fault():
    classes = [
        value
        for module in (qcore.testing, qcore_kit.testing)
        for value in (getattr(module, name) for name in module.__all__)
        if isinstance(value, type) and issubclass(value, Conformance)
    ]
    checks = {name for value in classes for name in dir(value) if name.startswith("test_")}
    assert checks - {check for _, check in FAULTS} == set()


def named(changes):
    """Changes in the words of the package, in which everything is called Tried."""
    return [
        (
            old.replace("mynet", "tried").replace("Mynet", "Tried"),
            new.replace("mynet", "tried").replace("Mynet", "Tried"),
        )
        for old, new in changes
    ]


@pytest.mark.parametrize(("kind", "check"), FAULTS)
def test_a_planted_fault_is_found(installed, kind, check):
    changes = named(FAULTS[kind, check])
    package = installed(kind, changed=changes)
    outcomes = list(run_checks(conformance_of(package.name, package.host), check))
    messages = [outcome.message for outcome in outcomes if outcome.status == "failed"]
    assert messages, "the check did not find it"
    assert messages[0].startswith(f"{kind} {package.name}: ")
    assert "; " in messages[0], "it says what to do"
    assert "Traceback" not in messages[0]


NAMED = 'component = "tried"'


def test_a_known_failure_that_passes_is_an_error(installed):
    changes = [(NAMED, f'{NAMED}\n    known_failures = {{"test_noise_is_survived": "it is not"}}')]
    package = installed("postprocessor", changed=changes)
    (outcome,) = run_checks(conformance_of(package.name, package.host), "test_noise_is_survived")
    assert outcome.status == "failed"
    assert "passes now" in outcome.message


def test_a_known_failure_is_told_and_ends_nothing(installed):
    known = (NAMED, f'{NAMED}\n    known_failures = {{"test_noise_is_survived": "a bug in 1.0"}}')
    package = installed("postprocessor", changed=[*named(FAULTS["postprocessor", "test_noise_is_survived"]), known])
    (outcome,) = run_checks(conformance_of(package.name, package.host), "test_noise_is_survived")
    assert (outcome.status, outcome.message) == ("known", "a bug in 1.0")
