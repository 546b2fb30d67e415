"""Numbers in sentences."""


def counted(number: int, thing: str) -> str:
    """`1 input`, `2 inputs`; a thing that ends in s or x gets es."""
    if number == 1:
        return f"1 {thing}"
    return f"{number} {thing}{'es' if thing[-1] in 'sx' else 's'}"
