"""Programs of torch.export: what is read, and what never reaches PyTorch."""

import json
import pickle
import random
import sys
from itertools import islice

import pytest
import torch_files
from mutations import mutants
from opcodes import SYSTEM, pickled
from torch_files import PROGRAM, SAMPLE_MEMBERS, SAMPLES, WEIGHTS, archive, changed, with_value

from modelpack.errors import ModelNotSupportedError, ModelRefusedError
from modelpack.inspection import formats, require_servable
from modelpack.inspection.formats import torch_text
from modelpack.inspection.inspector import inspect
from modelpack.inspection.nodes import Malformed

DATA = torch_files.SAMPLE.read_bytes()
DOCUMENT = json.loads(SAMPLE_MEMBERS[PROGRAM])
ATTACKS = (
    "__import__('os').system('touch hacked')",
    "x): __import__('os').system('touch hacked') #",
    "().__class__.__base__.__subclasses__()",
    "os.system",
    "exec('1')",
    "lambda: 0",
)
FREE = {"stack_trace", "nn_module_stack", "torch_fn", "custom", "from_node", "name",
        "torch_version", "type"}  # fmt: skip
"""Keys of text that PyTorch keeps as text: metadata, the name of an argument of an operator."""
PATHS = {"parameter_name", "buffer_name", "fqn"}
"""Keys of names with dots."""


RUN = {"exec", "compile", "os.system", "subprocess.Popen"}
watched = []
"""The events that were seen, in a list while a test runs."""


def watch(event, args):
    is_torch = event == "import" and args[0].partition(".")[0] == "torch"
    is_module = event == "exec" and args[0].co_filename.endswith(".py")  # imported by a test
    if watched and (event in RUN or is_torch) and not is_module:
        watched[-1].append(event)


sys.addaudithook(watch)  # cannot be removed


@pytest.fixture(autouse=True)
def nothing_runs():
    """No reader imports PyTorch, or compiles, executes or starts anything."""
    code(DATA)  # modules that reading needs
    watched.append([])
    yield
    assert not watched.pop()


def code(data):
    """Return the code of the finding for a file, or None."""
    try:
        formats.read("torch-export", iter([data]))
    except Malformed as problem:
        return problem.code
    return None


def program(change):
    return changed(PROGRAM, change)


def error(tmp_path, data):
    (tmp_path / "model.pt2").write_bytes(data)
    with pytest.raises((ModelNotSupportedError, ModelRefusedError)) as raised:
        require_servable(inspect(tmp_path / "model.pt2"))
    return raised.value


def test_the_sample_is_described():
    spec = inspect(torch_files.SAMPLE)
    assert (spec.format, spec.framework, spec.framework_version) == (
        "torch-export",
        "torch",
        "2.13.0",
    )
    assert [(f.name, f.type) for f in spec.signature.inputs] == [
        (f"x{n}", "number") for n in range(4)
    ]
    assert [f.example for f in spec.signature.inputs] == [5.1, 3.5, 1.4, 0.2]
    assert (spec.signature.outputs[0].type, spec.signature.outputs[0].shape) == ("number", (3,))
    assert spec.requirements == {"torch": "==2.13.0", "numpy": ""}
    assert spec.safety.verdict == "pass"


def test_an_archive_of_ours_is_read_like_one_of_pytorch():
    """So the other tests here refuse files for their content, and not for their headers."""
    assert code(archive(SAMPLE_MEMBERS)) is None


PLACES = [path for path in torch_files.texts(DOCUMENT) if path[-1] not in FREE
          or path[-2:] == ("as_tensor", "name")]  # fmt: skip


def test_no_text_of_the_program_may_be_code():
    """Each place of a text, and each key of a mapping of names, with each attack."""
    assert len(PLACES) > 50
    for path in {
        tuple("*" if isinstance(key, int) else key for key in p): p for p in PLACES
    }.values():
        for attack in ATTACKS:
            if attack == "os.system" and path[-1] in PATHS:
                continue
            value = with_value(DOCUMENT, path, attack)
            data = archive({**SAMPLE_MEMBERS, PROGRAM: json.dumps(value).encode()})
            assert code(data) is not None, (path, attack)


@pytest.mark.parametrize(
    "path", [("graph_module", "graph", "tensor_values"), ("range_constraints",)]
)
def test_no_key_of_the_program_may_be_code(path):
    def change(document):
        node = torch_files.value_at(document, path)
        node[ATTACKS[0]] = next(iter(node.values()))

    assert code(program(change)) == "bad-text"


def symbolic(text):
    def change(document):
        for meta in document["graph_module"]["graph"]["tensor_values"].values():
            for size in (*meta["sizes"], *meta["strides"], meta["storage_offset"]):
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = text

    return code(program(change))


@pytest.mark.parametrize("text", [
    "Symbol('s77', positive=True, integer=True)", "s77", "2*s77 + 1", "s77//2",
    "Mul(Integer(4), Symbol('s77', positive=True, integer=True))",
    "Add(Mul(Integer(-1), Symbol('s0', integer=True)), Integer(3))",
])  # fmt: skip
def test_expressions_of_symbols_and_integers_pass(text):
    assert symbolic(text) is None


@pytest.mark.parametrize("text", [
    *ATTACKS, "Symbol('s77').__class__", "Symbol('x; import os')", "s77.real", "s77()", "s77(1)",
    "[s77]", "'s77'", "s77 if s77 else s77", "Function('f')(s77)", "Integer(9)**Integer(9)",
    "9**9**9", "S('__import__')", "sympify('1')", "#", "s77#", "Add(s77, )", "", "-", "0x7f",
    "1e9", "s77\\n+1", "Symbol('s77', positive=print(1))", "(" * 5000 + "s77" + ")" * 5000, 7, None,
    ["s77"],
])  # fmt: skip
def test_other_expressions_are_hostile(text):
    assert symbolic(text) == "bad-text"


@pytest.mark.parametrize("text", [
    "L['x'].size()[0] <= 1024", "L['flat_args'][0].size()[1] == 4", "L['args'][0].size()[0] >= 2",
    "L['x'].size()[0] % 2 == 0 and L['x'].size()[0] >= 2", "2 <= L['x'].size()[0]",
])  # fmt: skip
def test_conditions_on_sizes_pass(text):
    torch_text.guard(text)


@pytest.mark.parametrize("text", [
    *ATTACKS, "L['x'].__class__", "L['x'].size()[0].__class__ == 1", "L['x'].numpy() == 1",
    "L['__import__'] == 1", "L['x'].size()[0] == 1, __import__('os')", "L['x']('os') == 1",
    "True", "f()", "L['x'].size()[0] == 1)\nimport os #", "[L['x']]", "L", "L['x'].size",
])  # fmt: skip
def test_other_conditions_are_hostile(text):
    assert code(program(lambda document: document.update(guards_code=[text]))) == "bad-text"


@pytest.mark.parametrize(("target", "expected"), [
    ("os.system", "bad-callable"), ("torch.os.system", "bad-callable"),
    ("torch.hub.load", "bad-callable"), ("torch.load", "bad-callable"),
    ("_operator.attrgetter", "bad-callable"), ("_operator.methodcaller", "bad-callable"),
    ("_operator.call", "bad-callable"), ("math.factorial", "bad-callable"),
    ("torch.ops.load_library", "bad-callable"), ("torch.ops.aten.__class__", "bad-callable"),
    ("torch.ops.aten.add.op.__globals__", "bad-callable"), ("#registered", "bad-callable"),
    ("torch._C._jit_run", "bad-callable"), ("builtins.eval", "bad-callable"),
    ("torch.ops.aten.from_file.default", "torch-operator"),
    ("torch.ops.aten.save.default", "torch-operator"), ("torch.ops.aten.add.op", "torch-operator"),
    ("torch.ops.aten.empty.memory_format", "torch-operator"),
    ("torch.ops.aten.resize_.default", "torch-operator"),
    ("torch.ops.higher_order.cond.default", "torch-operator"),
    ("torch.ops.mylib.attack.default", "torch-operator"), (None, "malformed"), ([], "malformed"),
])  # fmt: skip
def test_only_listed_operators_are_admitted(target, expected):
    def change(document):
        document["graph_module"]["graph"]["nodes"][0]["target"] = target

    assert code(program(change)) == expected


@pytest.mark.parametrize("argument", [
    {"as_operator": "os.system"}, {"as_graph": {"name": "g", "graph": {}}},
    {"as_custom_obj": {"name": "o", "class_fqn": "__torch__.Attack"}},
    {"as_string_to_argument": {}}, {"as_complex": {"real": 0.0, "imag": 0.0}}, {"as_unknown": 1},
    {"as_int": "__import__('os')"}, {"as_int": True}, {"as_int": 2**70}, {"as_float": "os"},
    {"as_ints": ["os"]}, {"as_int": 1, "as_float": 1.0}, {}, [], None,
    {"as_device": {"type": "cuda", "index": None}}, {"as_device": {"type": "privateuseone:x"}},
    {"as_sym_int": {"as_name": "a b"}}, {"as_scalar_type": 99}, {"as_scalar_type": "7"},
])  # fmt: skip
def test_other_arguments_of_operators_are_refused(argument):
    def change(document):
        document["graph_module"]["graph"]["nodes"][0]["inputs"][0]["arg"] = argument

    assert code(program(change)) in {"malformed", "bad-text", "torch-unsupported"}


@pytest.mark.parametrize(
    "name", ["self", "torch", "lambda", "a.b", "a b", "", "__builtins__", "é", 3]
)
def test_names_are_identifiers(name):
    def change(document):
        document["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [name]

    assert code(program(change)) == "bad-text"


@pytest.mark.parametrize(
    "kind", ["collections.defaultdict", "enum.Enum", "torch.Tensor", "os.system"]
)
def test_structures_of_other_classes_are_refused(kind):
    leaf = {"type": None, "context": None, "children_spec": []}
    context = json.dumps({"default_factory_module": "os", "default_factory_name": "system"})
    spec = json.dumps([1, {"type": kind, "context": context, "children_spec": [leaf]}])
    for key in ("in_spec", "out_spec"):

        def change(document, key=key):
            document["graph_module"]["module_call_graph"][0]["signature"][key] = spec

        assert code(program(change)) == "torch-unsupported"


def test_keys_of_returned_dicts_are_names():
    leaf = {"type": None, "context": None, "children_spec": []}
    for keys, expected in (
        (["a"], None),
        ([ATTACKS[0]], "bad-text"),
        ([{"__enum__": 1}], "bad-text"),
    ):
        node = {"type": "builtins.dict", "context": json.dumps(keys), "children_spec": [leaf]}

        def change(document, node=node):
            call = document["graph_module"]["module_call_graph"][0]["signature"]
            call["out_spec"] = json.dumps([1, node])

        assert code(program(change)) == expected


def weights(change):
    def change_all(document):
        for payload in document["config"].values():
            change(payload)

    return code(changed(WEIGHTS, change_all))


@pytest.mark.parametrize(("change", "expected"), [
    (lambda p: p.update(use_pickle=True), "torch-code"),
    (lambda p: p.update(path_name="../../etc/passwd"), "torch-code"),
    (lambda p: p.update(path_name="weight_99"), "malformed"),
    (lambda p: p.update(tensor_meta=None), "torch-code"),
    (lambda p: p["tensor_meta"].update(sizes=[{"as_int": 10**9}] * 2), "broken-invariant"),
    (lambda p: p["tensor_meta"].update(sizes=[{"as_int": -1}]), "broken-invariant"),
    (lambda p: p["tensor_meta"].update(storage_offset={"as_int": 10**6}), "broken-invariant"),
    (lambda p: p["tensor_meta"].update(strides=[]), "broken-invariant"),
    (lambda p: p["tensor_meta"].update(sizes=[{"as_int": 2**39}], strides=[{"as_int": 0}]),
     "limit"),
    (lambda p: p["tensor_meta"].update(sizes=[{"as_int": 2**20}], strides=[{"as_int": 0}]), None),
    (lambda p: p["tensor_meta"].update(dtype=11), "torch-unsupported"),
    (lambda p: p["tensor_meta"]["device"].update(type="cuda"), "torch-unsupported"),
])  # fmt: skip
def test_weights_are_bytes_of_the_file(change, expected):
    assert weights(change) == expected


def test_values_of_a_row_that_take_gigabytes_are_refused():
    def change(document):
        values = document["graph_module"]["graph"]["tensor_values"]
        values["linear"]["sizes"].append({"as_int": 2**28})

    assert code(program(change)) == "limit"


@pytest.mark.parametrize(("name", "expected"), [
    ("data/aotinductor/model/model.so", "torch-code"),
    ("data/constants/custom_obj_0", "torch-code"),
    ("data/constants/opaque_obj_0", "torch-code"), ("models/other.json", "torch-unsupported"),
    ("data/sample_inputs/other.pt", "torch-unsupported"),
    ("code/__torch__.py", "torch-unsupported"),
    ("../model.json", "broken-zip"), ("models//model.json", "broken-zip"),
    ("models/Model.json", "broken-zip"), ("a\\b", "broken-zip"),
    ("data/constants/model.pt", "truncated"),
])  # fmt: skip
def test_other_members_are_refused(name, expected):
    assert code(archive({**SAMPLE_MEMBERS, name: b"\x80\x04."})) == expected


def test_a_missing_member_is_an_error():
    for name in (PROGRAM, WEIGHTS, "archive_format"):
        kept = {key: value for key, value in SAMPLE_MEMBERS.items() if key != name}
        assert code(archive(kept)) == "malformed", name


REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


@pytest.mark.parametrize("content", [
    pickled(SYSTEM), pickle.dumps({1, 2}), b"cos\nsystem\n.",
    b"\x80\x02ctorch\nload\n.", b"\x80\x02c__builtin__\neval\n.",
    b"\x80\x02ctorch\nFloatStorage\n)R.",
    b"\x80\x02X\x01\x00\x00\x00aQ" + b"ctorch.hub\nload\n\x86.", b"", b"\x80\x02", b"not a pickle",
    b"\x80\x02}.trailing", b"\x80\x02(ios\nsystem\n.",
])  # fmt: skip
def test_sample_inputs_are_tensors_alone(content):
    """PyTorch would unpickle anything else without limits."""
    inner = archive({"data.pkl": content, "version": b"3\n"})
    allowed = content == pickle.dumps({1, 2})  # holds no name, so nothing is looked up
    assert (code(archive({**SAMPLE_MEMBERS, SAMPLES: inner})) is None) == allowed


@pytest.mark.parametrize("inner", [
    {"data.pkl": b"\x80\x02}.", "constants.pkl": b"\x80\x02}."},
    {"data.pkl": b"\x80\x02}.", "code/__torch__.py": b"import os"}, {"version": b"3\n"},
])  # fmt: skip
def test_sample_inputs_are_no_torchscript(inner):
    """torch.load would pass such an archive to torch.jit.load."""
    assert code(archive({**SAMPLE_MEMBERS, SAMPLES: archive(inner)})) in {"broken-zip", "malformed"}


def test_sample_inputs_of_the_old_format_are_refused():
    for content in (pickle.dumps(0), b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."):
        assert code(archive({**SAMPLE_MEMBERS, SAMPLES: content})) == "truncated"


def test_archives_that_readers_would_understand_differently():
    plain = archive(SAMPLE_MEMBERS)
    assert code(plain[:-1]) == "truncated"
    assert code(plain + b"x") == "truncated"
    assert code(b"x" + plain) == "broken-zip"
    assert code(archive(SAMPLE_MEMBERS, mode=0o120777)) == "broken-zip"  # a link
    assert code(archive(SAMPLE_MEMBERS, root="")) == "broken-zip"
    assert code(archive(SAMPLE_MEMBERS, root="..")) == "broken-zip"
    gap = plain.replace(b"PK\1\2", b"gap!PK\1\2", 1)
    assert code(gap) == "broken-zip"
    assert code(plain.replace(b"PK\7\x08", b"PK\7\7", 1)) == "broken-zip"
    assert code(plain.replace(b"FB", b"UT", 1)) == "broken-zip"
    assert (
        code(plain.replace(b"PK\3\4\0\0\x08\x08\0\0", b"PK\3\4\0\0\x09\x08\0\0", 1)) == "broken-zip"
    )
    twice = archive({**SAMPLE_MEMBERS, "modelx/model.json": SAMPLE_MEMBERS[PROGRAM]})
    assert code(twice.replace(b"modelx/model", b"models/model")) == "broken-zip"


def test_cut_and_changed_files_cause_no_bug():
    ends = range(1, len(DATA), max(1, len(DATA) // 60))
    assert all(code(DATA[:end]) for end in ends)
    chance = random.Random(5)
    assert all(code(mutant) for mutant in islice(mutants(DATA, chance), 100) if mutant != DATA)
    for mutant in islice(mutants(SAMPLE_MEMBERS[PROGRAM], chance), 300):
        code(archive({**SAMPLE_MEMBERS, PROGRAM: mutant}))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}", b"[]", b"null", b"\xff", b'{"a":1}'])
def test_documents_that_are_no_program(content):
    for member in (PROGRAM, WEIGHTS):
        assert code(archive({**SAMPLE_MEMBERS, member: content})) in {
            "malformed",
            "torch-unsupported",
        }


def renamed(document, dims, dtype=7):
    meta = document["graph_module"]["graph"]["tensor_values"]["flowers"]
    meta.update(sizes=dims, dtype=dtype)


@pytest.mark.parametrize(("change", "message"), [
    (lambda d: renamed(d, []), "is a single number"),
    (lambda d: renamed(d, [{"as_int": 8}, *[{"as_int": 50}] * 3]), "its rows have 125,000 values"),
    (lambda d: renamed(d, [{"as_int": 8}, {"as_expr": {"expr_str": "s0", "hint": None}}]),
     "no fixed number of columns"),
    (lambda d: renamed(d, [{"as_int": 8}, {"as_int": 4}]), "for each row"),
    (lambda d: renamed(d, [{"as_int": 8}, {"as_int": 4}], 10), "not a tensor of numbers"),
    (lambda d: d["graph_module"]["graph"]["nodes"][2]["inputs"].append(
        {"name": "train", "arg": {"as_bool": True}, "kind": 1}), "training mode"),
])  # fmt: skip
def test_programs_that_predict_no_rows_are_not_supported(tmp_path, change, message):
    raised = error(tmp_path, program(change))
    assert raised.exit_code == 4
    assert message in raised.message
    assert "torch.export.save" in raised.hint


def set_first_node(target):
    return lambda d: d["graph_module"]["graph"]["nodes"][1].update(target=target)


def with_first_argument(document, name):
    document["graph_module"]["graph"]["nodes"][1]["inputs"][0]["arg"]["as_tensor"]["name"] = name


def test_programs_that_change_their_weights_are_not_supported(tmp_path):
    def change(document, weight="b_mean"):
        set_first_node("torch.ops.aten.add_.Tensor")(document)
        with_first_argument(document, weight)

    assert "changes its own weights" in error(tmp_path, program(change)).message
    (tmp_path / "model.pt2").write_bytes(program(lambda d: change(d, "flowers")))
    require_servable(inspect(tmp_path / "model.pt2"))  # an activation in place


def test_numbers_of_rows_that_are_computed_are_not_supported(tmp_path):
    def change(document):
        for meta in document["graph_module"]["graph"]["tensor_values"].values():
            for size in meta["sizes"]:
                if "as_expr" in size:
                    size["as_expr"]["expr_str"] = "Mul(Integer(2), Symbol('s3', integer=True))"

    assert "a multiple of another number" in error(tmp_path, program(change)).message


TYPED = (b"ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\n%b"
         b"((X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\0"
         b"0X\3\0\0\0cpuK\4tQK\0K\1K\4\x86K\4K\1\x86\x89"
         b"ccollections\nOrderedDict\n)Rt}%btR")  # fmt: skip


@pytest.mark.parametrize(("kind", "state", "expected"), [
    (b"ctorch\nTensor\n", b"X\x0e\0\0\0_specialize_on}s", None),
    (b"ctorch\nTensor\n", b"X\x0f\0\0\0_dynamo_indices]K\0as", None),
    (b"ctorch\nTensor\n", b"X\5\0\0\0shape]s", "torch-code"),
    (b"ctorch\nTensor\n", b"X\x09\0\0\0__class__K\0s", "torch-code"),
    (b"ctorch\nTensor\n", b"X\x0e\0\0\0_specialize_onctorch\nTensor\ns", "torch-code"),
    (b"ccollections\nOrderedDict\n", b"X\x0e\0\0\0_specialize_on}s", "torch-code"),
    (b"cmine\nTensor\n", b"X\x0e\0\0\0_specialize_on}s", "torch-code"),
])  # fmt: skip
def test_examples_that_were_exported_before_have_attributes(kind, state, expected):
    """torch.export marks a tensor that is exported a second time."""
    content = b"\x80\x02" + TYPED % (kind, state) + b"\x85}\x86."
    row = b"\0\0\x80?\0\0\0@\0\0@@\0\0\x80@"
    inner = archive({"data.pkl": content, "data/0": row})
    data = archive({**SAMPLE_MEMBERS, SAMPLES: inner})
    assert code(data) == expected
    if expected is None:
        fields = formats.read("torch-export", iter([data])).signature.inputs
        assert [field.example for field in fields] == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("arguments", [
    b"K\0K\5K\5", b"K\0K\1\x85)", b"K\0)K\1\x85", b"N)N", b"K\0K\1K\4\x86K\4\x85",
    b"\x8a\x0a" + b"\x7f" * 10 + b"K\1K\4\x86K\4K\1\x86", b"K\0K\1K\4\x86K\0K\0\x86",
    b"K\0K\1\x8a\x05\xff\xff\xff\xff\x00\x86K\1K\1\x86", b"K\0I-1\nK\4\x86K\4K\1\x86",
])  # fmt: skip
def test_examples_of_impossible_shapes_are_ignored(arguments):
    storage = b"(X\7\0\0\0storagectorch\nFloatStorage\nX\1\0\0\x000X\3\0\0\0cpuK\4tQ"
    call = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + arguments
    content = b"\x80\x02" + call + b"\x89ccollections\nOrderedDict\n)RtR\x85}\x86."
    inner = archive({"data.pkl": content, "data/0": bytes(16)})
    model = formats.read("torch-export", iter([archive({**SAMPLE_MEMBERS, SAMPLES: inner})]))
    assert [field.example for field in model.signature.inputs] == [0.0] * 4


def test_errors_contain_the_way_out(tmp_path):
    def set_target(target):
        return program(lambda d: d["graph_module"]["graph"]["nodes"][0].update(target=target))

    hostile = error(tmp_path, set_target("os.system"))
    assert (hostile.exit_code, "os.system" in hostile.message) == (3, True)
    assert "do not load this file" in hostile.hint
    unknown = error(tmp_path, set_target("torch.ops.torchvision.nms.default"))
    assert (unknown.exit_code, "torchvision.nms" in unknown.message) == (4, True)
    assert "torch.onnx.export" in unknown.hint
    native = error(tmp_path, archive({**SAMPLE_MEMBERS, "data/aotinductor/m.so": b"\x7fELF"}))
    assert (native.exit_code, "native code" in native.message) == (3, True)
    assert "torch.export.save" in native.hint


def test_tensors_that_are_not_served_are_named():
    def change(document):
        specs = document["graph_module"]["signature"]["output_specs"]
        specs.append(specs[0])

    (notice,) = formats.read("torch-export", iter([program(change)])).notices
    assert notice.startswith(
        "The program returns 2 tensors, and a prediction contains only the fir"
    )
    assert formats.read("torch-export", iter([DATA])).notices == ()
