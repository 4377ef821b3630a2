"""NumPy: seventy megabytes of dependencies, compiled ones among them."""

from typing import Any

import numpy


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    matrix = numpy.array(event["matrix"], dtype=float)
    return {"determinant": round(float(numpy.linalg.det(matrix)), 6), "numpy": numpy.__version__}
