import json
from types import SimpleNamespace

import ncapps.quickstart as quickstart
from ncapps.cli import main


def test_the_verb_hands_folder_and_seed_over(monkeypatch, tmp_path, capsys):
    seen = {}

    def run(folder, *, seed, progress, say):
        seen.update(folder=folder, seed=seed, progress=progress)
        say("a step")
        return SimpleNamespace(results={"seconds": 1})

    monkeypatch.setattr(quickstart, "run_quickstart", run)
    monkeypatch.setattr(quickstart, "write_results", lambda found, folder: seen.update(written=folder))
    monkeypatch.setattr(quickstart, "summary", lambda results: "all is well")
    assert main(["quickstart", "--out", str(tmp_path), "--seed", "7", "--no-progress", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"seconds": 1}
    assert captured.err == "a step\n"
    assert seen == {"folder": tmp_path, "seed": 7, "progress": False, "written": tmp_path}
