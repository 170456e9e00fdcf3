from __future__ import annotations

from pocketrec.bench.grouping import scenes
from pocketrec.bench.hover import hover_text


def test_every_figure_of_a_point(make_run) -> None:
    runs = [make_run(seed=s, auc=0.75 + s / 100, options={"block": 8, "cell": ""}, ns_per_lookup=12.5) for s in (0, 1)]
    (scene,) = scenes(runs)
    assert hover_text(scene.groups[0], scene, on_front=True).split("<br>") == [
        "<b>robe</b>",
        "sample, dlrm",
        "budget 16x: 20,236 bytes",
        "promised 20,232, held 20,232, file 20,232 bytes",
        "training 40,472, vocabulary 1,200, nets 43,110 bytes",
        "AUC 0.7550 \N{PLUS-MINUS SIGN} 0.0071 on test rows, 95 % interval 0.6915 to 0.8185",
        "log-loss 0.5000 \N{PLUS-MINUS SIGN} 0.0000",
        "seeds 0, 1",
        "options block=8",
        "took 41.5 s, 61,000 rows/s, 12.5 ns per look-up",
        "commit 3f1c2ab",
        "on the front: none of this data set is better in as few bytes",
    ]


def test_what_was_not_measured_is_not_made_up(make_run) -> None:
    bare = dict.fromkeys(("promised_bytes", "held_bytes", "file_bytes", "seconds", "rows_per_s", "test"))
    (scene,) = scenes([make_run(**bare)])
    text = hover_text(scene.groups[0], scene, on_front=False)
    assert "promised \N{EN DASH}, held \N{EN DASH}, file \N{EN DASH} bytes" in text
    assert "AUC 0.7400 on validation rows<br>" in text
    assert "took \N{EN DASH}" in text
    assert "front" not in text


def test_names_are_text_and_lines_are_short(make_run) -> None:
    (scene,) = scenes([make_run(method="<a href='x'>", data="d" * 500)])
    text = hover_text(scene.groups[0], scene, on_front=False)
    assert "<b>&lt;a href='x'&gt;</b>" in text
    assert max(len(line) for line in text.split("<br>")) < 120
