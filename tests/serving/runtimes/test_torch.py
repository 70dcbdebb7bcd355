"""Programs of PyTorch in the service give the bits that PyTorch gives.

They need torch 2.8 or later, which `make setup` does not install.
"""

from __future__ import annotations

import importlib.util
import io
import json
import os
import resource
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from torch_files import PROGRAM, SAMPLE, SAMPLE_MEMBERS, SAMPLES, archive, changed, members

from modelpack.errors import ModelpackError
from modelpack.inspection import inspect, require_servable
from modelpack.serving import memory
from modelpack.serving.problems import Problem

torch = pytest.importorskip("torch")
from serving_models import render_native_bundle  # noqa: E402

from modelpack.serving.service import Service  # noqa: E402

ROWS = np.random.default_rng(3).normal(3, 2, (37, 4)).astype(np.float32)
ANY = torch.export.Dim("rows")
PAYLOADS = "data/weights/model_weights_config.json"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


class Several(torch.nn.Module):
    """Three columns of different types, and two outputs."""

    def forward(self, price, count, is_new):
        total = price * count + torch.where(is_new, 1.0, 0.0)
        return total, count


class Squares(torch.nn.Module):
    def __init__(self, columns=1, output=torch.float32):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Linear(4, columns)
        self.output = output

    def forward(self, x):
        return (self.inner(x) ** 2).to(self.output)


def exported(tmp_path, module, arguments, shapes):
    program = torch.export.export(module.eval(), arguments, dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "model.pt2")
    return tmp_path / "model.pt2"


def load_service(path, tmp_path):
    require_servable(inspect(path))
    return Service.load(render_native_bundle(path, tmp_path))


def predict(service, rows):
    return service.runner.call("predict", service.decode_rows(rows))


class Pictures(torch.nn.Module):
    """A picture and numbers, and a result of several dimensions."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = torch.nn.Conv2d(2, 3, 3)

    def forward(self, picture, numbers):
        return self.inner(picture).flatten(2) + numbers[:, :, None]


def test_tensors_of_several_dimensions_have_the_bits_of_pytorch(tmp_path):
    chance = np.random.default_rng(1)
    picture = chance.normal(size=(5, 2, 4, 4)).astype(np.float32)
    numbers = chance.normal(size=(5, 3)).astype(np.float32)
    arguments = tuple(map(torch.from_numpy, (picture, numbers)))
    path = exported(tmp_path, Pictures(), arguments, ({0: ANY}, {0: ANY}))
    spec = inspect(path)
    assert spec.signature.outputs[0].shape == (3, 4)
    assert spec.signature.inputs[31].example == pytest.approx(picture[0].ravel()[31], 1e-5)
    service = load_service(path, tmp_path)
    expected = own_answer(path, *arguments).numpy()
    rows = [
        {"picture": a, "numbers": b}
        for a, b in zip(picture.tolist(), numbers.tolist(), strict=True)
    ]
    assert predict(service, rows).tolist() == expected.tolist()


def own_answer(path, *arguments):
    with torch.no_grad():
        return torch.export.load(path).module()(*arguments)


def test_the_sample_gives_the_bits_of_pytorch(tmp_path):
    service = load_service(SAMPLE, tmp_path)
    expected = own_answer(SAMPLE, torch.from_numpy(ROWS)).numpy()
    assert service.ready
    assert predict(service, ROWS.tolist()).tolist() == expected.tolist()
    alone = own_answer(SAMPLE, torch.from_numpy(ROWS[:1])).numpy()
    assert predict(service, ROWS[:1].tolist()).tolist() == alone.tolist()
    request, response = (
        json.loads((SAMPLE.parent / f"{name}.json").read_text()) for name in ("request", "response")
    )
    np.testing.assert_allclose(
        predict(service, request["instances"]), response["predictions"], rtol=1e-6
    )


def test_the_sample_of_torchscript_gives_the_bits_of_pytorch(tmp_path):
    path = SAMPLE.parents[1] / "torchscript" / "model.pt"
    service = load_service(path, tmp_path)
    rows = ROWS[:, :3].copy()  # PyTorch computes other last bits for a view
    expected = torch.jit.load(path)(torch.from_numpy(rows)).detach().numpy()[:, 0]
    assert predict(service, rows.tolist()).tolist() == expected.tolist()
    request, response = (
        json.loads((path.parent / f"{name}.json").read_text()) for name in ("request", "response")
    )
    np.testing.assert_allclose(
        predict(service, request["instances"]), response["predictions"], rtol=1e-6
    )


def test_rows_of_several_requests_are_never_predicted_together(tmp_path):
    service = load_service(SAMPLE, tmp_path)
    assert not service.runner.can_batch
    assert torch.get_num_threads() == 1


def test_several_inputs_are_columns_by_their_names(tmp_path):
    arguments = (torch.ones(8), torch.ones(8, dtype=torch.int32), torch.ones(8, dtype=torch.bool))
    path = exported(tmp_path, Several(), arguments, [[ANY]] * 3)
    fields = inspect(path).signature.inputs
    assert [(f.name, f.type) for f in fields] == [
        ("price", "number"), ("count", "integer"), ("is_new", "boolean")]  # fmt: skip
    service = load_service(path, tmp_path)
    rows = [{"price": 2.5, "count": 2, "is_new": True}, {"is_new": False, "count": 3, "price": 1.0}]
    assert predict(service, rows).tolist() == [6.0, 3.0]
    for row, shown in (({"price": 1.0, "count": 2**40, "is_new": True}, "out of range"),
                       ({"price": 1.0, "count": 1.5, "is_new": True}, "integer")):  # fmt: skip
        with pytest.raises((Problem, ValueError)) as error:
            predict(service, [row])
        assert shown in str(vars(error.value)) + str(error.value)


@pytest.mark.parametrize(("columns", "shape"), [(1, (37,)), (3, (37, 3))])
@pytest.mark.parametrize("size", [None, 1, 8])
def test_any_number_of_rows_is_predicted(tmp_path, columns, shape, size):
    """A program of a fixed number of rows gets batches of it, the last one padded."""
    example = torch.ones(size or 8, 4)
    path = exported(
        tmp_path, Squares(columns), (example,), None if size else [[ANY, torch.export.Dim.STATIC]]
    )
    service = load_service(path, tmp_path)
    for count in (37, 1, 8):
        result = predict(service, ROWS[:count].tolist())
        assert result.shape == (count, *shape[1:])
        step = size or count
        padded = np.concatenate(
            [ROWS[:count], np.repeat(ROWS[count - 1 : count], -count % step, 0)]
        )
        parts = [own_answer(path, torch.from_numpy(padded[at : at + step]))
                 for at in range(0, count, step)]  # fmt: skip
        expected = torch.cat(parts)[:count].numpy().reshape(result.shape)
        assert result.tolist() == expected.tolist()


def test_limits_of_a_batch_are_kept(tmp_path):
    rows = torch.export.Dim("rows", min=4, max=16)
    path = exported(tmp_path, Squares(), (torch.ones(8, 4),), [[rows, torch.export.Dim.STATIC]])
    service = load_service(path, tmp_path)
    whole = predict(service, ROWS.tolist())
    assert whole.shape == (37,)
    np.testing.assert_allclose(predict(service, ROWS[:1].tolist()), whole[:1], rtol=1e-5)


@pytest.mark.parametrize(
    "kind", [torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
def test_outputs_of_other_types(tmp_path, kind):
    path = exported(
        tmp_path, Squares(2, kind), (torch.ones(8, 4),), [[ANY, torch.export.Dim.STATIC]]
    )
    service = load_service(path, tmp_path)
    expected = own_answer(path, torch.from_numpy(ROWS))
    assert predict(service, ROWS.tolist()).tolist() == expected.tolist()


def test_models_of_common_layers_are_read(tmp_path):
    module = torch.nn.Sequential(
        torch.nn.LayerNorm(4), torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.GELU(),
        torch.nn.Dropout(0.5), torch.nn.Linear(8, 8), torch.nn.ReLU(inplace=True),
        torch.nn.Linear(8, 2), torch.nn.Softmax(dim=1),
    )  # fmt: skip
    path = exported(tmp_path, module, (torch.ones(8, 4),), [[ANY, torch.export.Dim.STATIC]])
    expected = own_answer(path, torch.from_numpy(ROWS)).numpy()
    assert predict(load_service(path, tmp_path), ROWS.tolist()).tolist() == expected.tolist()


COMMAND = "__import__('os').system('touch executed')"


class Command:
    def __reduce__(self):
        return os.system, ("touch executed",)


def set_expressions(document):
    for meta in document["graph_module"]["graph"]["tensor_values"].values():
        for size in meta["sizes"]:
            if "as_expr" in size:
                size["as_expr"]["expr_str"] = COMMAND


def set_name(document):
    text = json.dumps(document).replace('"flowers"', f'"flowers={COMMAND}"')
    document.update(json.loads(text))


def set_structure(document):
    context = {
        "default_factory_module": "executed",
        "default_factory_name": "x",
        "dict_context": [],
    }
    node = {"type": "collections.defaultdict", "context": context, "children_spec": []}
    call = document["graph_module"]["module_call_graph"][0]["signature"]
    call["out_spec"] = json.dumps([1, node])


def pickled_command():
    buffer = io.BytesIO()
    torch.save(Command(), buffer)
    return buffer.getvalue()


ATTACKS = {
    "expression": lambda: changed(PROGRAM, set_expressions),
    "condition": lambda: changed(PROGRAM, lambda d: d.update(guards_code=[f"{COMMAND} or True"])),
    "name": lambda: changed(PROGRAM, set_name),
    "structure": lambda: changed(PROGRAM, set_structure),
    "sample inputs": lambda: archive({**SAMPLE_MEMBERS, SAMPLES: pickled_command()}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_pytorch_itself_executes_files_that_are_refused(tmp_path, monkeypatch, attack):
    """So the checks are necessary, and the files of their tests are real attacks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "executed.py").write_text("open('executed', 'w').close()")
    data = ATTACKS[attack]()
    (tmp_path / "model.pt2").write_bytes(data)
    with pytest.raises(ModelpackError):
        require_servable(inspect(tmp_path / "model.pt2"))
    assert not (tmp_path / "executed").exists()
    with suppress(Exception):
        torch.export.load(io.BytesIO(data)).module()(torch.ones(3, 4))
    assert (tmp_path / "executed").exists()


class Attention(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("running_keys", torch.ones(4, 4))

    def forward(self, x):
        return torch.nn.functional.scaled_dot_product_attention(x, self.running_keys, torch.eye(4))


@pytest.mark.parametrize(("module", "sizes"), [
    (torch.nn.BatchNorm1d(4), [1]), (Attention(), [1, 4]),
])  # fmt: skip
def test_pytorch_does_not_read_beyond_short_tensors(tmp_path, module, sizes):
    program = torch.export.export(module.eval(), (torch.ones(2, 4),),
                                  dynamic_shapes=[[ANY, torch.export.Dim.STATIC]])  # fmt: skip
    is_attention = isinstance(module, Attention)
    torch.export.save(program if is_attention else program.run_decompositions(),
                      tmp_path / "model.pt2")  # fmt: skip
    expected = own_answer(tmp_path / "model.pt2", torch.from_numpy(ROWS)).numpy()
    service = load_service(tmp_path / "model.pt2", tmp_path / "honest")
    assert predict(service, ROWS.tolist()).tolist() == expected.tolist()
    files, name = members((tmp_path / "model.pt2").read_bytes()), PAYLOADS
    config = json.loads(files[name])
    for path, payload in config["config"].items():
        if "running" in path:
            payload["tensor_meta"]["sizes"] = [{"as_int": size} for size in sizes]
    content = archive({**files, name: json.dumps(config).encode()})
    (tmp_path / "model.pt2").write_bytes(content)
    service = load_service(tmp_path / "model.pt2", tmp_path / "short")
    with pytest.raises((Problem, ValueError), match="other sizes"):
        predict(service, ROWS.tolist())


class Quotient(torch.nn.Module):
    """A division of the first column by the second."""

    def __init__(self, divide):
        super().__init__()
        self.divide = divide

    def forward(self, x):
        return self.divide(x[:, 0], x[:, 1])


DIVISIONS = {
    "remainder": torch.remainder, "fmod": torch.fmod, "floor_divide": torch.floor_divide,
    "div, trunc": lambda x, y: torch.div(x, y, rounding_mode="trunc"),
    "div, floor": lambda x, y: torch.div(x, y, rounding_mode="floor"),
    "in place": lambda x, y: torch.add(x, 0).div_(y, rounding_mode="trunc"),
    "a number by a column": lambda x, y: torch.remainder(
        torch.full_like(x, torch.iinfo(x.dtype).min), y),
    "a column by a number": lambda x, y: torch.fmod(x, -1) + y,
}  # fmt: skip


@pytest.mark.parametrize("divide", DIVISIONS.values(), ids=DIVISIONS)
@pytest.mark.parametrize("kind", [torch.int64, torch.int32])
def test_no_division_ends_the_process(tmp_path, divide, kind):
    """PyTorch itself raises SIGFPE for the smallest integer divided by -1."""
    example = torch.ones(8, 2, dtype=kind)
    shapes = [[ANY, torch.export.Dim.STATIC]]
    path = exported(tmp_path, Quotient(divide), (example,), shapes)
    service = load_service(path, tmp_path)
    with pytest.raises((Problem, ValueError), match="divided by -1"):
        predict(service, [[torch.iinfo(kind).min, -1]])
    rows = torch.tensor([[7, 2], [-7, 3], [7, -2]], dtype=kind)
    expected = own_answer(path, rows).tolist()
    assert predict(service, rows.tolist()).tolist() == expected


def test_divisions_by_a_constant_and_of_floats_have_no_check(tmp_path):
    class Buckets(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.table = torch.nn.Embedding(10, 2)

        def forward(self, x):
            return self.table(x[:, 0] // 10) * (x[:, :1] / x[:, 1:]) % 3.5

    path = exported(tmp_path, Buckets(), (torch.ones(8, 2, dtype=torch.int64),),
                    [[ANY, torch.export.Dim.STATIC]])  # fmt: skip
    service = load_service(path, tmp_path)
    targets = {node.target for node in service.runner.model.module.graph.nodes}
    assert torch.ops.aten.floor_divide.default in targets
    assert not any(getattr(target, "__name__", "") == "divide" for target in targets)
    rows = torch.tensor([[17, 2], [99, 3]])
    assert predict(service, rows.tolist()).tolist() == own_answer(path, rows).tolist()


@pytest.fixture
def little_memory(monkeypatch):
    """Let a prediction have 64 MiB, whatever the machine has."""
    monkeypatch.setattr(memory, "_room", lambda: 0)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    yield
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def test_a_program_that_needs_more_memory_than_there_is_fails(tmp_path, little_memory):
    class Large(torch.nn.Module):
        def forward(self, x):
            return (x[:, :1] + torch.zeros(1).expand(2**25)).sum(dim=1)

    path = exported(tmp_path, Large(), (torch.ones(1, 4),), None)
    service = load_service(path, tmp_path)
    assert not service.ready  # an example is a row, too
    with pytest.raises(MemoryError, match="can't allocate memory"):
        predict(service, ROWS[:1].tolist())


class Recurrent(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        torch.manual_seed(0)
        self.layer = layer

    def forward(self, x):
        return self.layer(x[:, :, None])[0][:, -1]


RECURRENT = {
    "lstm": torch.nn.LSTM(1, 3, 2, batch_first=True),
    "gru": torch.nn.GRU(1, 3, batch_first=True, bidirectional=True),
    "rnn": torch.nn.RNN(1, 3, 2, bias=False, batch_first=True, bidirectional=True),
}


@pytest.mark.filterwarnings("ignore:The tensor attributes")  # of the layers of PyTorch
@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_have_weights_that_fit(tmp_path, name):
    """With fewer weights than layers, PyTorch reads beyond the list of them (SIGSEGV)."""
    path = exported(tmp_path, Recurrent(RECURRENT[name]), (torch.ones(8, 4),),
                    [[ANY, torch.export.Dim.STATIC]])  # fmt: skip
    service = load_service(path, tmp_path / "honest")
    expected = own_answer(path, torch.from_numpy(ROWS)).tolist()
    assert predict(service, ROWS.tolist()).tolist() == expected
    files = members(path.read_bytes())
    document = json.loads(files[PROGRAM])
    (node,) = [each for each in document["graph_module"]["graph"]["nodes"]
               if each["target"].endswith(".input")]  # fmt: skip
    for hostile in ([], node["inputs"][2]["arg"]["as_tensors"][::-1]):
        node["inputs"][2]["arg"]["as_tensors"] = hostile
        path.write_bytes(archive({**files, PROGRAM: json.dumps(document).encode()}))
        service = load_service(path, tmp_path / str(len(hostile)))
        with pytest.raises((Problem, ValueError), match="a recurrent layer has weights"):
            predict(service, ROWS.tolist())


class Bags(torch.nn.Module):
    """The mean of the embeddings of two columns, and a range of its rows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.bag = torch.nn.EmbeddingBag(9, 3)

    def forward(self, x):
        return self.bag(x) + torch.arange(0, 9, 3)


def set_offsets(node):
    """Let the offsets be the indices, which are no sequence of positions."""
    node["inputs"][2]["arg"] = node["inputs"][1]["arg"]


def set_step(node):
    node["inputs"][1]["arg"], node["inputs"][2]["arg"] = {"as_int": -(2**63)}, {"as_int": -1}


@pytest.mark.parametrize(("operator", "change", "message"), [
    ("embedding_bag", set_offsets, "or their offsets"), ("arange", set_step, "limits of a range"),
])  # fmt: skip
def test_bags_and_ranges_stay_in_their_limits(tmp_path, operator, change, message):
    """PyTorch reads beyond the indices (SIGSEGV), and divides by the step (SIGFPE)."""
    path = exported(tmp_path, Bags(), (torch.ones(8, 2, dtype=torch.int64),),
                    [[ANY, torch.export.Dim.STATIC]])  # fmt: skip
    service = load_service(path, tmp_path / "honest")
    rows = torch.tensor([[1, 2], [8, 0]])
    assert predict(service, rows.tolist()).tolist() == own_answer(path, rows).tolist()
    files = members(path.read_bytes())
    document = json.loads(files[PROGRAM])
    nodes = document["graph_module"]["graph"]["nodes"]
    change([each for each in nodes if f".{operator}." in each["target"]][-1])
    path.write_bytes(archive({**files, PROGRAM: json.dumps(document).encode()}))
    service = load_service(path, tmp_path / "hostile")
    with pytest.raises((Problem, ValueError), match=message):
        predict(service, rows.tolist())


def test_the_tables_contain_the_operators_of_this_release():
    """A method of tensors that is in neither table could be called by code of TorchScript."""
    folder = Path(torch.__file__).parents[1] / "torchgen" / "packaged" / "ATen" / "native"
    text = (folder / "native_functions.yaml").read_text(encoding="utf-8")
    path = SAMPLE.parents[2] / "scripts" / "make_torch_operators.py"
    facts = importlib.util.spec_from_file_location("make_torch_operators", path)
    script = importlib.util.module_from_spec(facts)
    facts.loader.exec_module(script)
    known = json.loads(script.METHODS.read_text(encoding="utf-8"))
    assert script.methods(text)
    assert set(script.methods(text)) <= set(known)
    assert script.overloads(text) == json.loads(script.TABLE.read_text(encoding="utf-8"))
