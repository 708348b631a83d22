"""Coding: models, bytes and plain classes come back as they were sent, as arguments and as results."""

import json
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, Field, RootModel, computed_field
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass as pydantic_dataclass
from typing_extensions import TypedDict

from runner.jobs.arguments import Arguments
from runner.jobs.coding import coding_of


class Aliased(BaseModel):
    order_number: int = Field(alias="orderNo")


class Generated(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_alias=False, validate_by_name=True)
    order_number: int


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    net: int

    @computed_field  # type: ignore[prop-decorator] # as pydantic's documentation writes it
    @property
    def gross(self) -> int:
        return self.net * 2


class Hexadecimal(BaseModel):
    model_config = ConfigDict(ser_json_bytes="hex", val_json_bytes="hex")
    raw: bytes


class Base64(BaseModel):
    model_config = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
    raw: bytes


class Text(BaseModel):
    raw: bytes


@dataclass
class Chunk:
    raw: bytes
    left: "Chunk | None" = None


@dataclass
class Made:
    x: int
    twice: list[int] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.twice = [self.x, self.x]


@pydantic_dataclass
class MadeByPydantic(Made):
    pass


class Part(NamedTuple):
    number: int
    raw: bytes


class Options(TypedDict):
    raw: bytes
    part: Annotated[Part, Field(alias="thePart")]


RAW = b"\xff\x00"
VALUES = [
    (Aliased, Aliased(orderNo=1), {"orderNo": 1}),
    (Generated, Generated(order_number=1), {"orderNumber": 1}),
    (list[Aliased], [Aliased(orderNo=1)], [{"orderNo": 1}]),
    (Computed, Computed(net=1), {"net": 1}),
    (bytes, RAW, "_wA="),
    (dict[str, bytes], {"a": RAW}, {"a": "_wA="}),
    (bytes | None, RAW, "_wA="),
    (Base64, Base64(raw=RAW), {"raw": "_wA="}),
    (Hexadecimal, Hexadecimal(raw=RAW), {"raw": "ff00"}),
    (Text, Text(raw=b"abc"), {"raw": "abc"}),
    (RootModel[list[int]], RootModel[list[int]]([1]), [1]),
    (Chunk, Chunk(RAW, Chunk(b"")), {"raw": "_wA=", "left": {"raw": "", "left": None}}),
    (Part, Part(1, RAW), [1, "_wA="]),
    (Options, {"raw": RAW, "part": Part(1, RAW)}, {"raw": "_wA=", "thePart": [1, "_wA="]}),
]


@pytest.mark.parametrize(("kind", "value", "sent"), VALUES, ids=[getattr(kind, "__name__", str(kind)) for kind, _, _ in VALUES])
def test_what_is_written_is_read_again(kind: Any, value: Any, sent: Any) -> None:
    def keep(value): ...  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202 - its annotations follow

    keep.__annotations__ = {"value": kind, "return": kind}
    arguments = Arguments("keep", keep)
    coding = coding_of(kind)

    assert json.loads(arguments.encode((value,), {})) == {"value": sent}
    assert arguments.decode(arguments.encode((value,), {})) == {"value": value}
    assert json.loads(arguments.encode_result(value)) == sent
    assert coding.read(coding.write(coding.valid(value))) == value


def test_the_default_of_bytes_is_shown_as_it_would_be_sent() -> None:
    def keep(value: bytes = RAW) -> None: ...

    assert Arguments("keep", keep).schema["properties"]["value"]["default"] == "_wA="


@pytest.mark.parametrize(
    ("kind", "given", "valid"), [(bytes, "four", b"four"), (Chunk, {"raw": "four"}, Chunk(b"four")), (list[bytes], ["é"], [b"\xc3\xa9"])]
)
def test_text_that_code_gives_for_bytes_is_text(kind: Any, given: Any, valid: Any) -> None:
    """In JSON it is base64."""
    coding = coding_of(kind)

    assert coding.valid(given) == valid
    assert coding.read(coding.write(valid)) == valid


@pytest.mark.parametrize("kind", [Made, MadeByPydantic])
def test_what_a_dataclass_makes_itself_need_not_be_sent(kind: Any) -> None:
    coding = coding_of(list[kind])

    assert coding.read(coding.write([kind(2)])) == coding.read(b'[{"x":2}]') == [kind(2)]
    assert coding.read(b'[{"x":2}]')[0].twice == [2, 2]
