"""Files as people write them: they load, and an editor finds nothing wrong with them."""

import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from backendctl.errors import BackendctlError
from backendctl.spec.load import find_project, load_spec, read_spec
from backendctl.spec.model import PlatformName, Regime, Spec
from backendctl.spec.reference import reference_markdown, reference_text
from backendctl.spec.schema import spec_schema

EXAMPLES = sorted(Path(__file__).parent.joinpath("examples").glob("*.toml"))


def example(name: str) -> Spec:
    file = Path(__file__).parent / "examples" / f"{name}.toml"
    return read_spec(file.read_bytes(), str(file))


def lines(name: str) -> int:
    return len((Path(__file__).parent / "examples" / f"{name}.toml").read_text().splitlines())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_every_example_loads_and_satisfies_the_published_schema(file: Path) -> None:
    read_spec(file.read_bytes(), str(file))
    jsonschema.Draft202012Validator(spec_schema()).validate(tomllib.loads(file.read_text()))


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 3


def test_the_smallest_file_is_under_12_lines_and_a_complete_one_under_40() -> None:
    assert lines("smallest") < 12
    assert lines("complete") < 40


def test_the_smallest_file_derives_everything_else() -> None:
    spec = example("smallest")
    assert spec.service.start == ("uvicorn", "app.main:app", "--port", "$PORT")
    assert spec.load.peak_users == 365  # 50/s x (7 s + 0.3 s)
    assert spec.load.sustained_users == 182
    assert set(spec.environments) == {"local"}
    assert spec.stated == {"service.name", "service.start", "load.peak_rps"}


def test_a_complete_file_holds_what_it_says() -> None:
    spec = example("complete")
    assert spec.compliance == {Regime.GDPR, Regime.PCI_DSS}
    assert spec.load.peak_rps == 250.0  # 1,500 users / 6 s
    assert spec.slo.p99 == pytest.approx(0.833)  # p95 / 30 %
    assert spec.slo.error_rate == pytest.approx(0.005)  # ten times the error budget
    assert spec.data.size == 20 << 30
    assert dict(spec.cache.ttls) == {"products": 600.0, "prices": 30.0}
    assert [i.name for i in spec.integrations] == ["stripe"]
    prod = spec.environments["prod"]
    assert (prod.name, prod.platform, prod.region) == ("prod", PlatformName.AWS, "eu-central-1")
    assert spec.environments["local"].platform is PlatformName.LOCAL


def test_quantities_may_be_written_in_other_ways() -> None:
    spec = example("service")
    assert spec.load.peak_rps == 200.0
    assert spec.slo.p95 == pytest.approx(0.15)
    assert spec.rollout.warm_up == 0.0
    assert spec.rollout.steps == (10, 50)
    assert dict(spec.environments["local"].variables) == {"LOG_LEVEL": "debug"}


def test_two_processes_give_the_same_json_for_the_same_file() -> None:
    dumped = example("complete").model_dump_json()
    assert '"compliance":["gdpr","pci-dss"]' in dumped


def test_a_spec_dumped_and_read_again_is_the_same() -> None:
    spec = example("complete")
    again = Spec.model_validate_json(spec.model_dump_json())
    assert again.model_dump() == spec.model_dump()


def test_a_project_is_found_from_any_folder_inside_it(tmp_path: Path) -> None:
    (tmp_path / "backend.toml").write_bytes(EXAMPLES[0].read_bytes())
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    assert find_project(inside) == tmp_path
    assert load_spec(find_project(inside)).service.name == "shop"


def test_the_schema_requires_what_the_file_must_say() -> None:
    schema = spec_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["required"] == ["service", "load"]
    assert schema["$defs"]["Service"]["required"] == ["name", "start"]
    assert schema["$defs"]["Integration"]["required"] == ["url"]
    refused = [
        {"service": {"name": "a", "start": "b"}},
        {"service": {"name": "a", "start": "b"}, "load": {}},
        {"service": {"name": "a", "start": "b"}, "load": {"peak_rps": 0}},
        {"service": {"name": "a", "start": "b"}, "load": {"peak_rps": 1}, "slo": {"p95": 300}},
        {"service": {"name": "a", "start": "b", "x": 1}, "load": {"peak_rps": 1}},
    ]
    for document in refused:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate(document)


def test_the_schema_describes_every_key() -> None:
    schema = spec_schema()
    for name, body in schema["$defs"].items():
        for key, described in body.get("properties", {}).items():
            assert described.get("description") or "$ref" in described, f"{name}.{key}"
            assert "null" not in str(described.get("anyOf", "")), f"{name}.{key}"


def test_the_schema_and_the_page_give_defaults_as_they_are_written() -> None:
    schema = spec_schema()
    assert schema["$defs"]["Slo"]["properties"]["p95"]["default"] == "300ms"
    assert schema["$defs"]["Data"]["properties"]["size"]["default"] == "1 GiB"
    page = reference_markdown()
    assert '| `p95` | duration | `"300ms"` |' in page
    assert "| `peak_rps` | rate |  |" in page


def test_the_page_has_every_table() -> None:
    page = reference_markdown()
    for name in Spec.model_fields:
        assert f"[{name}" in page or f"`{name}`" in page, name


def test_the_keys_on_a_terminal_fit_80_columns_and_say_what_the_page_says() -> None:
    said, page = reference_text(), reference_markdown()
    assert [line for line in said.splitlines() if len(line) > 80] == []
    for name in re.findall(r"^\| `([\w.]+)`", page, re.MULTILINE):
        assert re.search(rf"^  {re.escape(name)}  \(", said, re.MULTILINE), name


def test_the_keys_of_one_table_are_shown_alone() -> None:
    said = reference_text("rollout")
    assert said.startswith("[rollout]")
    assert "steps" in said
    assert "[load]" not in said
    with pytest.raises(BackendctlError, match='did you mean "rollout"'):
        reference_text("roll")


def test_every_example_and_default_in_the_schema_is_accepted_by_its_own_rule() -> None:
    schema = spec_schema()
    count = 0
    for body in schema["$defs"].values():
        for described in body.get("properties", {}).values():
            rule = jsonschema.Draft202012Validator({**described, "$defs": schema["$defs"]})
            values = described.get("examples", []) + [
                described[k] for k in ("default",) if k in described
            ]
            for value in values:
                rule.validate(value)
                count += 1
    assert count > 60
