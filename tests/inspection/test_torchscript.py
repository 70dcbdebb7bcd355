"""TorchScript archives: their code is no Python, and calls only operators that are listed."""

import gzip
import random
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
    "    _1 = __torch__.torch.classes.quantized.Conv2dPackedParamsBase", "    _1 = __torch__",
    "    _1 = __torch__.torch",
])  # fmt: skip
def test_attributes_are_no_operators_of_tensors(line):
    assert with_line(line) in {"torch-operator", "torch-unsupported"}


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


@pytest.mark.parametrize(
    "name", ["bytecode.pkl", "code/other.py", "extra", "data.so", "code/__torch__.so"]
)
def test_other_members_are_refused(name):
    assert code(archive({**MEMBERS, name: b""})) == "torch-unsupported"


@pytest.mark.parametrize(
    "arguments", ["", "input: int", "input: Tensor, mode: str", "*input: Tensor"]
)
def test_modules_that_take_no_tensors_are_not_supported(arguments):
    text = MEMBERS[ENTRY].decode().replace("input: Tensor", arguments)
    assert code(archive({**MEMBERS, ENTRY: text.encode()})) == "torch-unsupported"


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
