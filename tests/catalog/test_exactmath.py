"""Exact functions against the standard library, and the rule that nothing else decides a value."""

import ast
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dgconsole.catalog
from dgconsole.catalog import exactmath

SOURCES = sorted(Path(dgconsole.catalog.__file__).parent.rglob("*.py"))


@given(st.floats(-1, 1))
def test_asin_is_within_an_ulp_or_two(x):
    found = float(exactmath.asin(np.array([x]))[0])
    assert abs(found - math.asin(x)) <= 2.3e-16 * max(1.0, abs(math.asin(x)))


def test_asin_at_its_ends_and_signs():
    found = exactmath.asin(np.array([-1.0, -0.0, 0.0, 1.0]))
    assert found.tolist() == [-math.pi / 2, 0.0, 0.0, math.pi / 2]
    assert np.signbit(found).tolist() == [True, True, False, False]


@given(st.floats(-720, 720))
def test_sine_and_cosine_of_degrees(x):
    # The angle is reduced to within 180 degrees first, so that turning it to radians loses little.
    radians = math.radians(math.remainder(x, 360.0))
    assert abs(float(exactmath.sin_degrees(np.array([x]))[0]) - math.sin(radians)) < 7e-16
    assert abs(float(exactmath.cos_degrees(np.array([x]))[0]) - math.cos(radians)) < 7e-16


def test_multiples_of_90_degrees_are_exact():
    angles = np.arange(-720.0, 721.0, 90.0)
    assert exactmath.sin_degrees(angles).tolist() == [[0, 1, 0, -1][int(a / 90) % 4] for a in angles]
    assert exactmath.cos_degrees(angles).tolist() == [[1, 0, -1, 0][int(a / 90) % 4] for a in angles]


@given(st.floats(2.3e-308, 1e300))
def test_logarithm(x):
    found = float(exactmath.log(np.array([x]))[0])
    assert math.isclose(found, math.log(x), rel_tol=3e-16, abs_tol=3e-16)


def test_unit_vectors_have_length_one_and_the_right_direction():
    x, y, z = exactmath.unit_vectors(np.array([0.0, 90.0, 10.0]), np.array([0.0, 0.0, -90.0]))
    np.testing.assert_allclose([x, y, z], [[1, 0, 0], [0, 1, 0], [0, 0, -1]], atol=1e-16)


FORBIDDEN = frozenset(
    {
        "log",
        "log2",
        "log10",
        "log1p",
        "exp",
        "exp2",
        "expm1",
        "sin",
        "cos",
        "tan",
        "arcsin",
        "arccos",
        "arctan",
        "arctan2",
    }
    | {
        "asin",
        "acos",
        "atan",
        "atan2",
        "sinh",
        "cosh",
        "tanh",
        "power",
        "float_power",
        "pow",
        "cbrt",
        "hypot",
    }
    | {"sum", "nansum", "mean", "average", "std", "var", "dot", "vdot", "inner", "matmul", "einsum", "trapezoid"}
    | {"norm", "prod", "interp"}
)
NUMERIC = {"np", "numpy", "math", "scipy"}


def forbidden_calls(source: str) -> list[str]:
    """Calls and operators whose results depend on the math library or on the order of additions."""
    found = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=name) if module in NUMERIC and name in FORBIDDEN:
                found.append(f"line {node.lineno}: {module}.{name}")
            case ast.Call(
                func=ast.Attribute(value=value, attr=("sum" | "mean" | "dot" | "std" | "var" | "prod") as name)
            ):
                if not (isinstance(value, ast.Name) and value.id in NUMERIC):
                    found.append(f"line {node.lineno}: .{name}()")
            case ast.BinOp(op=ast.MatMult()) | ast.AugAssign(op=ast.MatMult()):
                found.append(f"line {node.lineno}: @")
            case ast.BinOp(op=ast.Pow(), left=ast.Constant(), right=ast.Constant() | ast.UnaryOp()):
                pass
            case ast.BinOp(op=ast.Pow(), left=ast.Call(func=ast.Name(id="Decimal"))):
                pass
            case ast.BinOp(op=ast.Pow()):
                found.append(f"line {node.lineno}: **")
            case ast.ImportFrom(module="math", names=names):
                found += [f"line {node.lineno}: math.{alias.name}" for alias in names if alias.name in FORBIDDEN]
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_values_come_from_exact_operations_only(path):
    assert forbidden_calls(path.read_text()) == []


@pytest.mark.parametrize(
    "line",
    ["np.log(x)", "math.sin(1)", "a @ b", "x.sum()", "np.sum(x)", "x ** y", "from math import exp", "np.dot(a, b)"],
)
def test_the_rule_sees(line):
    assert forbidden_calls(line)
