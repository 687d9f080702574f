"""Where the state lies: what a killed engine leaves half-written does not stand in the way."""

from pathlib import Path

from backendctl.provision.workspace import BY_PHRASE, Backend, prepare


def test_a_note_that_was_cut_off_is_forgotten_and_no_other(tmp_path: Path) -> None:
    backend = Backend("shop", "prod", tmp_path / "infra", f"file://{tmp_path}/state", BY_PHRASE)
    state = backend.state_folder
    assert state is not None
    prepare(backend)
    stacks = state / ".pulumi" / "stacks" / "shop-network"
    stacks.mkdir(parents=True)
    (stacks / "prod.json").write_text("{}")
    whole = stacks / "prod.json.bak.attrs"
    whole.write_text('{"user.content_type":"application/json"}')
    for cut_off in ("", '{"user.cont'):
        note = stacks / "prod.json.attrs"
        note.write_text(cut_off)
        prepare(backend)
        assert not note.exists()
    assert whole.exists()
    assert (stacks / "prod.json").exists()
