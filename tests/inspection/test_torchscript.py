"""TorchScript archives: their code is no Python, and calls only operators that are listed."""

import codecs
import gzip
import pickle
import random
import re
import struct
from itertools import islice
from pathlib import Path

import pytest
from mutations import mutants
from opcodes import SYSTEM, pickled
from torch_files import archive, members

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import formats, require_servable
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed

FILE = Path(__file__).parents[1] / "data" / "formats" / "torchscript.pt.gz"
DATA = gzip.decompress(FILE.read_bytes())
MEMBERS = members(DATA)
LINEAR = "code/__torch__/torch/nn/modules/linear.py"
ENTRY = "code/__torch__/torch/nn/modules/container.py"


def code(data):
    """Return the code of the finding for a file, or None."""
    try:
        formats.read("torchscript", iter([data]))
    except Malformed as problem:
        return problem.code
    return None


def with_line(line):
    """Return the code of the finding if the layer executes a line."""
    text = (
        MEMBERS[LINEAR]
        .decode()
        .replace("    bias = self.bias\n", f"    bias = self.bias\n{line}\n")
    )
    assert line in text
    return code(archive({**MEMBERS, LINEAR: text.encode()}))


def test_the_file_is_described(tmp_path):
    (tmp_path / "model.pt").write_bytes(DATA)
    spec = inspect(tmp_path / "model.pt")
    require_servable(spec)
    assert (spec.format, spec.framework, spec.framework_version) == ("torchscript", "torch", None)
    assert (spec.signature.inputs, spec.signature.named) == ((), False)
    assert code(archive(MEMBERS)) is None


@pytest.mark.parametrize("line", [
    "    _1 = torch.add(input, 1)", "    _1 = ops.prim.data(input)",
    "    _1 = ops.aten.relu(input)",
    "    _1 = __torch__.torch.nn.functional.linear", '    _1 = torch.format("os.system {}", 1)',
    '    ops.prim.RaiseException("a; b # c", "builtins.ValueError")',
    "    _1 = (self).forward(input, )",
    "    _1 = annotate(Optional[Tensor], None)", "    _1 = (self).forward1(input, )",
])  # fmt: skip
def test_code_of_pytorch_passes(line):
    assert with_line(line) is None


@pytest.mark.parametrize(("line", "expected"), [
    ('    torch.save(input, "/tmp/x")', "torch-operator"),
    ('    _1 = torch.from_file("/etc/passwd", False, 10)', "torch-operator"),
    ('    _1 = ops.aten.from_file("/etc/passwd")', "torch-operator"),
    ('    ops.aten.save(input, "/tmp/x")', "torch-operator"),
    ('    input.save("/tmp/x")', "torch-operator"),
    ('    (input).save("/tmp/x")', "torch-operator"),
    ('    [input][0].save("/tmp/x")', "torch-operator"),
    ('    (input) . save ("/tmp/x")', "torch-operator"),
    ("    _1 = ops.mine.attack()", "torch-operator"),
    ("    _1 = torch.ops.aten.relu(input)", "torch-operator"),
    ("    _1 = torch.empty([9])", "torch-operator"),
    ("    _1 = torch.rand([9])", "torch-operator"), ("    _1 = fork(input)", "torch-operator"),
    ("    _1 = torch.lstm(input)", "torch-recurrent"),
    ("    _1 = rpc_async(input)", "torch-operator"), ("    _1 = torch", "torch-operator"),
    ("    _1 = ops", "torch-operator"), ("    _1 = input  # comment", "torch-unsupported"),
    ("    _1 = 1; _2 = 2", "torch-unsupported"), ("    _1 = input \\", "torch-unsupported"),
    ('    _1 = """text"""', "torch-unsupported"), ("\t_1 = 1", "torch-unsupported"),
    ("    _1 = 'open", "torch-unsupported"), ("    _1 = torch\x0c.add", "torch-unsupported"),
    ("  def __setstate__(self, state: Tensor) -> NoneType:", "torch-unsupported"),
])  # fmt: skip
def test_other_code_is_refused(line, expected):
    assert with_line(line) == expected


@pytest.mark.parametrize("line", [
    "    _1 = torch.remainder(input, 7)", "    _1 = torch.floordiv(torch.size(input, 0), 2)",
    "    _1 = torch.div(input, input)", "    _1 = torch.div(input, bias)",
    '    _1 = torch.div(torch.add(input, (bias, [1, 2])[0]), -2, rounding_mode="trunc")',
    "    _1 = torch.arange(9, dtype=None, layout=0)", "    _1 = torch.arange(9)",
    "    _1 = torch.arange(0, torch.size(input, 0), 2, dtype=4)", "    _1 = torch.arange(1, 9)",
    "    _1 = torch.fmod(input, 2.5)", "    _1 = torch.remainder(input, -1.5e3)",
    "    _1 = torch.floor_divide(\n      input, 2)", "    _1 = ops.aten.remainder(input, 3)",
    "    remainder = torch.add(input, 1)\n    div = torch.add(remainder, 1)",
])  # fmt: skip
def test_divisions_by_constants_pass(line):
    assert with_line(line) is None


@pytest.mark.parametrize("line", [
    "    _1 = torch.arange(0, 9, -1)", "    _1 = torch.arange(0, 9, _0)", "    _1 = torch.arange",
    "    _1 = torch.arange(0, 9, step=2)", "    _1 = torch.arange(0, end=9, dtype=4, step=-1)",
    "    _1 = torch.remainder(input, -1)", "    _1 = torch.remainder(input, 0)",
    "    _1 = torch.remainder(input, bias)", "    _1 = torch.remainder(7, bias)",
    "    _1 = torch.floordiv(1, 0)", "    _1 = torch.__round_to_zero_floordiv(1, 0)",
    "    _1 = torch.floordiv(1, self.out_features)", "    _1 = torch.fmod(input, -1 )",
    '    _1 = torch.div(input, bias, rounding_mode="trunc")',
    '    _1 = torch.div(input, -1, rounding_mode="floor")',
    "    _1 = torch.div(input, rounding_mode=bias)", "    _1 = torch.divide(input, -1, bias)",
    "    _1 = torch.remainder(input, other=-1)", "    _1 = torch.remainder(input, other=2)",
    "    _1 = torch.remainder(input, *[2])", "    _1 = torch.remainder(input)",
    "    _1 = torch . remainder (input, -1)", "    _1 = torch.remainder(input, 2 - 3)",
    "    _1 = torch.remainder(input, (-1))", "    _1 = torch.remainder(input, 2",
    "    _1 = torch.remainder", "    _1 = torch.remainder\n    _2 = _1(input, -1)",
    "    _1 = torch.remainder(torch.add(input, 2), -1)", "    _1 = torch.remainder(input, 00)",
    "    _1 = torch.floor_divide(input, CONSTANTS.c0)", "    _1 = torch.remainder(input, -01)",
    "    _1 = input.remainder(bias)", "    _1 = input.remainder", "    _1 = (input).fmod",
    '    _1 = getattr(input, "floor_divide")', '    _1 = getattr(input, "remainder")(bias)',
    "    _1 = input.remainder(bias)\n  def remainder(self: __torch__.A) -> int:\n    return 1",
    "    _1 = input // bias", "    _1 = input % bias", "    input //= bias", "    input %= bias",
    "    _1 = divmod(1, 0)", "    _1 = divmod", "    _1 = ops.aten.div(input, -1, bias)",
])  # fmt: skip
def test_divisions_that_could_end_the_process_are_refused(line):
    assert with_line(line) in {"torch-division", "torch-operator", "torch-unsupported"}


TENSOR = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\n%s\n"
    b"X\x01\0\0\0%dX\x03\0\0\0cpuK\x01tQK\0))\x89ccollections\nOrderedDict\n)RtR"
)


@pytest.mark.parametrize(("kind", "number", "expected"), [
    (b"LongStorage", struct.pack("<q", 2), None), (b"FloatStorage", struct.pack("<f", -1), None),
    (b"LongStorage", struct.pack("<q", -1), "torch-division"), (b"LongStorage",
     struct.pack("<q", 2**63 - 2**62), None), (b"IntStorage", struct.pack("<i", -1),
                                             "torch-division"),
    (b"CharStorage", b"\xff", "torch-division"), (b"ByteStorage", b"\xff", None),
])  # fmt: skip
def test_divisions_by_constant_tensors(kind, number, expected):
    """Tracing writes each number as a tensor."""
    text = MEMBERS[LINEAR].decode()
    line = "    _1 = torch.floor_divide(input, CONSTANTS.c1)\n    return"
    files = {
        **MEMBERS, LINEAR: text.replace("    return", line).encode(),
        "constants.pkl": b"\x80\x02(X\x01\0\0\0a" + TENSOR % (kind, 0) + b"t.",
        "constants/0": number,
    }  # fmt: skip
    assert code(archive(files)) == expected


@pytest.mark.parametrize("line", [
    "    _1 = input._indices()", "    _1 = input._indices", "    _1 = (input._indices)()",
    '    _1 = getattr(input, "_indices")()', "    _1 = torch.relu(input)._indices",
    '    _1 = getattr(getattr(self, "0"), "_indices")', "    _1 = getattr",
    '    _1 = getattr(torch.add(input, 1, "0"), "_indices")',
    '    _1 = getattr(input, "_ind" "ices")',
    '    _1 = getattr((input, "0"), "_indices")', '    _1 = getattr(input, "\\x5findices")',
    '    _1 = "text"._indices', "    _1 = {}._indices", "    _1 = 1.5._indices",
    "    _1 = input._indices()\n  def _indices(self: __torch__.A) -> int:\n    return 1",
    "    _1 = torch._native_batch_norm_legit_no_training(input)",
    "    _1 = torch.scaled_dot_product_attention(input, input, input)",
    "    _1 = torch.embedding_bag(input, input, input)",
    "    _1 = torch.lstm(input, [input], [], True, 4, 0., False, True, False)",
    "    _1 = __torch__.torch.classes.quantized.Conv2dPackedParamsBase", "    _1 = __torch__",
    "    _1 = __torch__.torch",
])  # fmt: skip
def test_attributes_are_no_operators_of_tensors(line):
    assert with_line(line) in {"torch-operator", "torch-recurrent", "torch-unsupported"}


@pytest.mark.parametrize("line", [
    '    _1 = getattr(self, "0")', '    _1 = getattr(getattr(self, "0"), "weight")',
    '    _1 = getattr((self).a.b, "in")', '    _1 = (self).a.running_mean', '    _1 = 1.5',
])  # fmt: skip
def test_attributes_of_modules_pass(line):
    assert with_line(line) is None


@pytest.mark.parametrize("expression", [
    "(" * 5_000 + "x" + ")" * 5_000, "(" * 500, "[" * 201 + "]" * 201, "x" + " + x" * 10_000,
    "-" * 20_000 + "x", "x" + "[0]" * 20_000, "(x" + "\n + x" * 10_000 + ")",
    "not " * 10_000 + "x", "x" + ".a" * 10_000,
])  # fmt: skip
def test_statements_that_would_overflow_the_stack_of_the_parser_are_refused(expression):
    assert with_line(f"    x = {expression}") == "torch-unsupported"


def test_nested_blocks_are_limited():
    assert with_line("\n".join(f"{'  ' * depth}if x:" for depth in range(200))) is None
    assert with_line("\n".join(f"{'  ' * depth}if x:" for depth in range(300))) is not None


def test_many_short_statements_and_calls_pass():
    names = ", ".join(f"x{index}" for index in range(500))
    calls = "    y = torch.add(torch.relu(x), torch.relu(x))\n" * 500
    assert with_line(f"    y = [{names}]\n{calls}") is None


def test_an_own_method_may_not_hide_an_operator_that_writes():
    line = "  def save(self: Any, f: str) -> NoneType:\n    return None"
    assert with_line(line) is None
    assert with_line(f'    input.save("/tmp/x")\n{line}') == "torch-operator"


@pytest.mark.parametrize("content", [
    pickled(SYSTEM), b"\x80\x02cposix\nsystem\n.", b"\x80\x02c__torch___\nX\n.", b"\x80\x02}.", b"",
    b"\x80\x02c__torch__\nNet\n)\x81}b.trailing", b"\x80\x02c__torch__.absent\nNet\n)\x81}b.",
])  # fmt: skip
def test_the_pickle_contains_a_module_of_the_archive_and_tensors(content):
    assert code(archive({**MEMBERS, "data.pkl": content})) is not None


@pytest.mark.parametrize("name", ["__torch__.torch.classes.quantized", "__torch__.torch.classes"])
def test_the_pickle_creates_no_class_of_native_code(name):
    module = b"c__torch__.torch.nn.modules.container\nSequential\n)\x81}"
    content = b"\x80\x02" + module + b"X\x01\0\0\0ac" + name.encode() + b"\nX\n)\x81sb."
    assert code(archive({**MEMBERS, "data.pkl": content})) == "banned-global"
    own = content.replace(name.encode(), b"__torch__.mine")
    assert code(archive({**MEMBERS, "data.pkl": own})) is None


def test_tensors_have_their_numbers_in_the_file():
    content = MEMBERS["data.pkl"]
    count = content.index(b"cpuq") + 5  # BININT1 of the first storage, and then its sizes
    assert content[count : count + 1] == b"K"
    for number in (b"J\xff\xff\xff\x7f", b"J\xff\xff\xff\xff", b"N", b"K\0"):
        changed = content[:count] + number + content[count + 2 :]
        assert code(archive({**MEMBERS, "data.pkl": changed})) == "broken-array"
    sizes = content.index(b"(K", count)
    changed = content[: sizes + 2] + b"\xff" + content[sizes + 3 :]
    assert code(archive({**MEMBERS, "data.pkl": changed})) == "broken-array"
    without = {name: each for name, each in MEMBERS.items() if name != "data/0"}
    assert code(archive(without)) == "broken-array"


def test_constants_contain_tensors():
    assert code(archive({**MEMBERS, "constants.pkl": pickled(SYSTEM)})) == "banned-global"


@pytest.mark.parametrize("name", [
    "code/other.py", "extra", "data.so", "code/__torch__.so", "bytecode.pkl", "bytecode/0",
    "mobile_debug_handles.pkl", "metadata.pkl", "mobile.ff",
])  # fmt: skip
def test_other_members_are_refused(name):
    assert code(archive({**MEMBERS, name: b""})) == "torch-unsupported"


def test_a_file_of_pytorch_mobile_is_named(tmp_path):
    (tmp_path / "model.ptl").write_bytes(archive({**MEMBERS, "bytecode.pkl": b"\x80\x02)."}))
    with pytest.raises(ModelNotSupportedError, match="only PyTorch Mobile reads"):
        require_servable(inspect(tmp_path / "model.ptl"))


def positions(*records, table=("", "code", "x.py")):
    """Return a pickle of positions in the source, with lists of integers as PyTorch writes them."""
    content = pickle.dumps(("FORMAT_WITH_STRING_TABLE", table, records), 2)
    return content.replace(b"c_codecs\nencode\n", b"ctorch.jit._pickle\nbuild_intlist\n")


class Integers:
    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def __reduce__(self):
        return codecs.encode, (self.numbers,)


SOURCE = (Integers(1, 0), 2, 1)


@pytest.mark.parametrize("records", [
    (), [(0, (SOURCE, 0, 4), 0)], [(0, ((Integers(), 0, 0), 0, 0), 0), (9, (SOURCE, 1, 2), 1)],
    [(0, ((Integers(0), -1, 1), 0, 0), 0)], [(0, ((Integers(0), 0, 0), 0, 1), 5)],
])  # fmt: skip
def test_positions_in_the_source_pass(records):
    content = positions(*records)
    assert code(archive({**MEMBERS, f"{LINEAR}.debug_pkl": content})) is None


@pytest.mark.parametrize("records", [
    [(0, ((Integers(3), 2, 1), 0, 0), 0)], [(0, ((Integers(-1), 2, 1), 0, 0), 0)],
    [(0, ((Integers(2**40), 2, 1), 0, 0), 0)], [(0, ((Integers(0), 3, 1), 0, 0), 0)],
    [(0, ((Integers(0), 2, "1"), 0, 0), 0)],
    [(0, ((Integers(0), 2, 1), 0, 2), 0)], [(0, (SOURCE, 0, 5), 0)], [(0, (SOURCE, -1, 2), 0)],
    [(0, (SOURCE, 3, 2), 0)], [(0, SOURCE, 0)], [("0", (SOURCE, 0, 4), 0)], [0], [()],
    [(0, ((["a"], 2, 1), 0, 0), 0)], [(0, ((Integers("a"), 2, 1), 0, 0), 0)],
])  # fmt: skip
def test_positions_beyond_their_texts_are_refused(records):
    """PyTorch would look them up when an operator fails."""
    content = positions(*records)
    assert code(archive({**MEMBERS, f"{LINEAR}.debug_pkl": content})) == "broken-invariant"


@pytest.mark.parametrize(("content", "expected"), [
    (pickled(SYSTEM), "banned-global"), (b"", "truncated"), (b"\x80\x02}.", "broken-invariant"),
    (b"\x80\x02K\0.", "broken-invariant"), (positions(table=(1,)), "broken-invariant"),
    (positions(table=["a"]), "broken-invariant"), (positions()[:-1], "truncated"),
    (pickle.dumps(((0, (("code", "x.py", 1), 0, 4)),), 2), None),
    (pickle.dumps(((0, 5, (("code", None, 1), 0, 4)),), 2), None),
    (pickle.dumps(((0, (("code", "x.py", 1), 0, 5)),), 2), "broken-invariant"),
])  # fmt: skip
def test_other_positions(content, expected):
    assert code(archive({**MEMBERS, f"{LINEAR}.debug_pkl": content})) == expected


@pytest.mark.parametrize(
    "arguments", ["", "input: int", "input: Tensor, mode: str", "*input: Tensor"]
)
def test_modules_that_take_no_tensors_are_not_supported(arguments):
    text = MEMBERS[ENTRY].decode().replace("input: Tensor", arguments)
    assert code(archive({**MEMBERS, ENTRY: text.encode()})) == "torch-unsupported"


def test_the_module_of_a_forward_may_have_any_name():
    """Its author chose it: `def forward(s, x)`."""
    text = MEMBERS[ENTRY].decode()
    assert "def forward(self: " in text
    renamed = re.sub(r"\bself\b", "s", text).encode()
    data = archive({**MEMBERS, ENTRY: renamed})
    given, named = (formats.read("torchscript", iter([each])) for each in (DATA, data))
    assert named.signature == given.signature
    assert named.problem is None


def test_many_entries_are_searched_once():
    text = MEMBERS[ENTRY].decode().partition("  def forward")[0]
    for lines in ("  def forward(self: a\n" * 40_000, f"  def forward(self: {'a' * 400_000}"):
        assert code(archive({**MEMBERS, ENTRY: (text + lines).encode()})) == "torch-unsupported"


def test_several_tensors_are_columns():
    text = MEMBERS[ENTRY].decode().replace("input: Tensor", "price: Tensor,\n    size: Tensor")
    model = formats.read("torchscript", iter([archive({**MEMBERS, ENTRY: text.encode()})]))
    assert [field.name for field in model.signature.inputs] == ["price", "size"]
    assert model.signature.named


def test_cut_and_changed_files_cause_no_bug():
    assert all(code(DATA[:end]) for end in range(1, len(DATA), 50))
    chance = random.Random(7)
    for member in ("data.pkl", LINEAR, ENTRY):
        for mutant in islice(mutants(MEMBERS[member], chance), 60):
            code(archive({**MEMBERS, member: mutant}))


def test_errors_contain_the_way_out(tmp_path):
    text = MEMBERS[LINEAR].replace(b"torch.linear", b"torch.from_file")
    (tmp_path / "model.pt").write_bytes(archive({**MEMBERS, LINEAR: text}))
    with pytest.raises(ModelNotSupportedError) as unsupported:
        require_servable(inspect(tmp_path / "model.pt"))
    assert "torch.from_file" in unsupported.value.message
    assert "torch.onnx.export" in unsupported.value.hint
    (tmp_path / "model.pt").write_bytes(archive({**MEMBERS, "data.pkl": pickled(SYSTEM)}))
    with pytest.raises(ModelRefusedError, match=r"posix\.system"):
        require_servable(inspect(tmp_path / "model.pt"))


def test_a_division_that_may_end_the_process_has_a_way_out(tmp_path):
    text = MEMBERS[LINEAR].replace(b"    return", b"    _1 = torch.fmod(input, bias)\n    return")
    (tmp_path / "model.pt").write_bytes(archive({**MEMBERS, LINEAR: text}))
    with pytest.raises(ModelNotSupportedError) as unsupported:
        require_servable(inspect(tmp_path / "model.pt"))
    assert "uses torch.fmod by a value that may be -1 or 0" in unsupported.value.message
    assert f"torch.jit.load('{tmp_path / 'model.pt'}')" in unsupported.value.hint
    assert "torch.export.save" in unsupported.value.hint
