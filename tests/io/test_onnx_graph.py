"""What a graph takes from other files is found wherever it stands, as the library of ONNX finds it."""

from contextlib import suppress

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from gracile.errors import DataError
from gracile.io.onnx_graph import external_tensors


def external(name, location="w.bin", dims=(2, 3), kind=TensorProto.FLOAT, **more):
    tensor = TensorProto(name=name, data_type=kind, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in {"location": location, "offset": "8", "length": "24", **more}.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


def graph(*, tensors=(), nodes=(), name="g"):
    return helper.make_graph(list(nodes), name, [], [], list(tensors))


def names(model):
    return [tensor.name for tensor in external_tensors(model.SerializeToString())]


def test_name_format_shape_and_place_are_told():
    inside = helper.make_tensor("inside", TensorProto.FLOAT, [2], [1.0, 2.0])
    model = helper.make_model(graph(tensors=[external("w"), inside, external("n", dims=(), kind=TensorProto.INT64)]))
    first, second = external_tensors(model.SerializeToString())
    assert (first.name, first.dtype, first.shape) == ("w", "F32", (2, 3))
    assert first.entries == {"location": "w.bin", "offset": "8", "length": "24"}
    assert (second.name, second.dtype, second.shape) == ("n", "I64", ())


def in_a_constant(tensor):
    return helper.make_model(graph(nodes=[helper.make_node("Constant", [], ["c"], value=tensor)]))


def in_a_branch(tensor):
    branch = helper.make_node("If", ["x"], ["y"], then_branch=graph(tensors=[tensor]), else_branch=graph())
    return helper.make_model(graph(nodes=[branch]))


def in_a_function(tensor):
    node = helper.make_node("Constant", [], ["c"], value=tensor)
    function = helper.make_function("own", "F", [], ["c"], [node], [helper.make_opsetid("", 18)])
    return helper.make_model(graph(), functions=[function])


def in_a_sparse_one(tensor):
    model = helper.make_model(graph())
    model.graph.sparse_initializer.add().values.CopyFrom(tensor)
    return model


def in_a_list(tensor):
    model = helper.make_model(graph(nodes=[helper.make_node("Own", [], ["c"])]))
    attribute = model.graph.node[0].attribute.add(name="all", type=onnx.AttributeProto.TENSORS)
    attribute.tensors.append(tensor)
    return model


def in_training(tensor):
    model = helper.make_model(graph())
    model.training_info.add().initialization.CopyFrom(graph(tensors=[tensor]))
    return model


@pytest.mark.parametrize(
    "make",
    [in_a_constant, in_a_branch, in_a_function, in_a_sparse_one, in_a_list, in_training],
    ids=lambda m: m.__name__,
)
def test_nothing_hides(make):
    assert names(make(external("hidden"))) == ["hidden"]


def test_a_place_without_the_word_external_counts_too():
    tensor = external("w")
    tensor.ClearField("data_location")
    assert names(in_a_branch(tensor)) == ["w"]
    bare = TensorProto(name="bare", data_type=1, dims=[1], data_location=TensorProto.EXTERNAL)
    assert names(helper.make_model(graph(tensors=[bare]))) == ["bare"]


def test_two_places_for_one_value_are_refused():
    tensor = external("w")
    tensor.external_data.add(key="location", value="elsewhere")
    with pytest.raises(DataError, match="two places"):
        names(helper.make_model(graph(tensors=[tensor])))


def within(number, content):
    """A field with a message in it."""
    length, size = len(content), []
    while length >= 0x80:
        size.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes([number << 3 | 2, *size, length]) + content


def test_graphs_within_graphs_end_somewhere():
    inner = b""
    for _ in range(60):
        inner = within(1, within(5, within(6, inner)))  # a graph's node's attribute's graph
    with pytest.raises(DataError, match="deep"):
        external_tensors(within(7, inner))


@given(st.binary(max_size=200))
def test_anything_is_read_or_refused(content):
    with suppress(DataError):
        external_tensors(content)


@given(st.data())
def test_a_graph_that_is_cut_off_or_changed_is_read_or_refused(data):
    content = in_a_branch(external("w")).SerializeToString()
    place = data.draw(st.integers(0, len(content) - 1))
    with suppress(DataError):
        external_tensors(content[:place])
    with suppress(DataError):
        external_tensors(content[:place] + bytes([data.draw(st.integers(0, 255))]) + content[place + 1 :])
