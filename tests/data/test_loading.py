import csv
import json
import tarfile
from pathlib import Path

import datasets
import numpy as np
import pytest

from clips import moving_square, write_clip
from muybridge.data import DataError, collate_targets, load_videos, name_data
from muybridge.data.targets import Box, Boxes, Caption, Domain, Label, QuestionAnswer, Questions, Scene


def touch(folder: Path, *names: str) -> None:
    """Files under these names; loading a list looks at names only."""
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def summary(records) -> list[tuple[str, str | None, str | None]]:
    return [(Path(str(record.source)).name, record.label, record.split) for record in records]


def test_a_folder_of_class_folders_is_labelled_by_its_folders(tmp_path):
    touch(
        tmp_path, "wave/b.mp4", "wave/a.avi", "jump/deep/er/c.MKV", "jump/notes.txt", ".cache/x.mp4", "jump/.half/x.mp4"
    )
    records = load_videos(tmp_path)
    assert records.labels == ("jump", "wave")
    assert summary(records) == [("c.MKV", "jump", None), ("a.avi", "wave", None), ("b.mp4", "wave", None)]
    assert records.label_ids() == [0, 1, 1]


def test_folders_named_train_and_test_are_splits_with_the_labels_of_all(tmp_path):
    touch(tmp_path, "train/jump/a.mp4", "train/wave/b.mp4", "test/wave/c.mp4")
    records = load_videos(tmp_path, "test")
    assert summary(records) == [("c.mp4", "wave", "test")]
    assert records.label_ids() == [1]


def test_a_manifest_keeps_its_columns_and_its_paths_are_its_own(tmp_path):
    touch(tmp_path, "a.mp4", "more/b.mp4")
    header = "path,label,start_seconds,end_seconds,split,group,camera"
    table = write(tmp_path / "x.csv", header, "a.mp4,wave,1.5,4,train,anna,left", "more/b.mp4,jump,,,test,ben,")
    first, second = load_videos(table)
    assert (first.source, first.label, first.group) == (str(tmp_path / "a.mp4"), "wave", "anna")
    assert (first.start_seconds, first.end_seconds, first.extra) == (1.5, 4.0, {"camera": "left"})
    assert (second.start_seconds, second.split, second.extra) == (None, "test", {"camera": None})


def test_lines_of_json_and_tabs_say_the_same_as_commas(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4")
    rows = [{"file_name": "a.mp4", "label": "wave", "end_seconds": 2}, {"file_name": "b.mp4", "label": "jump"}]
    lines = load_videos(write(tmp_path / "x.jsonl", *map(json.dumps, rows)))
    tabs = load_videos(write(tmp_path / "x.tsv", "path\tlabel\tend_seconds", "a.mp4\twave\t2", "b.mp4\tjump\t"))
    assert list(lines) == list(tabs)


def test_a_path_is_the_same_in_every_spelling(tmp_path):
    touch(tmp_path, "more/a.mp4")
    table = write(tmp_path / "x.csv", "path", "more/a.mp4", "./more/a.mp4", "more//a.mp4", str(tmp_path / "more/a.mp4"))
    assert {record.source for record in load_videos(table)} == {str(tmp_path / "more" / "a.mp4")}


def test_labels_that_are_numbers_are_ordered_as_numbers(tmp_path):
    touch(tmp_path, *(f"{number}.mp4" for number in (2, 10, 9)))
    table = write(tmp_path / "x.csv", "path,label", "2.mp4,2", "10.mp4,10", "9.mp4,9")
    assert load_videos(table).labels == ("2", "9", "10")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,label", "a.mp4,x", "none.mp4,y"], r"x\.csv, line 3: there is no file .*none\.mp4"),
        (["path,label", "a.mp4,x", "b.mp4,y", "a.mp4,y"], r"line 4: .*'y' here and 'x' at .*line 2"),
        (["path,label", "a.mp4,Fight", "b.mp4,fight"], r"line 3: .*differ only in capital letters"),
        (["file,label", "a.mp4,x"], r"line 1: there is no column 'path'; the columns are file, label"),
        (["path,label,start_seconds", "a.mp4,x,soon"], r"line 2: start_seconds is 'soon'; it must be a number"),
        (["path,label,start_seconds,end_seconds", "a.mp4,x,3,2"], r"line 2: end_seconds is 2.0; it must lie after"),
        (["path,label", "a.mp4,x,y"], r"line 2: there are more values than columns"),
        (["path,label", ",x"], r"line 2: the path is empty"),
        (["path,label"], r"lists no clips"),
        (["path,labels", "a.mp4,x||y"], r"line 2: labels: one of the labels is ''"),
        (["path,labels", "a.mp4,x|X"], r"line 2: the label 'x' and 'X' at .* differ only in capital letters"),
        (["path,boxes", "a.mp4,[}"], r"line 2: boxes: '\[}' is not JSON: .* at column 2"),
        (["path\tboxes", 'a.mp4\t[{"box": [4, 0, 1, 1], "frame": 0}]'], r"line 2: boxes: .* is empty or inverted"),
        (["path,boxes", "a.mp4,none.json"], r"line 2: boxes: there is no file .*none\.json"),
        (["path,masks", "a.mp4,none.npz"], r"line 2: masks: there is no file .*none\.npz"),
        (["path,answer", "a.mp4,two"], r"line 2: questions: there is an answer, 'two', and no question"),
    ],
)
def test_what_is_wrong_in_a_manifest_is_said_with_its_line(tmp_path, lines, message):
    touch(tmp_path, "a.mp4", "b.mp4")
    with pytest.raises(DataError, match=message):
        load_videos(write(tmp_path / ("x.tsv" if "\t" in lines[0] else "x.csv"), *lines))


def test_parts_of_one_video_may_show_different_things(tmp_path):
    touch(tmp_path, "a.mp4")
    table = write(tmp_path / "x.csv", "path,label,start_seconds,end_seconds", "a.mp4,x,0,1", "a.mp4,y,1,2")
    assert load_videos(table).label_ids() == [0, 1]


def test_given_labels_keep_their_order_and_refuse_others(tmp_path):
    touch(tmp_path, "wave/a.mp4", "jump/b.mp4")
    assert load_videos(tmp_path, labels=["wave", "sit", "jump"]).label_ids() == [2, 0]
    with pytest.raises(DataError, match=r"b\.mp4: the label 'jump' is none of the 2 .*did you mean 'jumps'"):
        load_videos(tmp_path, labels=["wave", "jumps"])


def test_an_unknown_split_lists_the_known_ones(tmp_path):
    touch(tmp_path, "train/x/a.mp4", "test/y/b.mp4")
    with pytest.raises(DataError, match="no split 'val'; it has test, train"):
        load_videos(tmp_path, "val")
    with pytest.raises(DataError, match="it is not divided into splits"):
        load_videos(tmp_path / "train", "val")


@pytest.mark.parametrize("name", ["a.mp4", "only/a.mp4"])
def test_clips_without_labels_or_all_of_one_are_loaded(tmp_path, name):
    """A flat folder of clips, and one with a single class."""
    touch(tmp_path, name, f"{name}.avi")
    records = load_videos(tmp_path)
    assert len(records) == 2
    assert records.labels == (("only",) if "/" in name else ())
    table = load_videos(write(tmp_path / "x.csv", "path", name))
    assert summary(table) == [("a.mp4", None, None)]


def test_several_labels_a_clip_are_a_set_of_them(tmp_path):
    touch(tmp_path, "a.mp4", "b.mp4", "c.mp4")
    cells = load_videos(write(tmp_path / "x.csv", "path,labels", "a.mp4,run|jump", 'b.mp4,"[""jump""]"', "c.mp4,"))
    rows = [{"path": "a.mp4", "labels": ["jump", "run"]}, {"path": "b.mp4", "labels": ["jump"]}, {"path": "c.mp4"}]
    lines = load_videos(write(tmp_path / "x.jsonl", *map(json.dumps, rows)))
    assert list(cells) == list(lines)
    assert cells.names == {"labels": ("jump", "run")}
    batch = collate_targets([cells.encode_targets(index, ["labels"]) for index in range(3)])["labels"]
    assert batch["multi_hot"].tolist() == [[1, 1], [1, 0], [0, 0]]
    assert batch["mask"].tolist() == [True, True, False]
    ordered = load_videos(tmp_path / "x.csv", labels=["run", "sit", "jump"])
    assert ordered.encode_targets(0, ["labels"])["labels"]["multi_hot"].tolist() == [1, 0, 1]
    with pytest.raises(DataError, match=r"x\.csv, line 2: the label 'jump' is none of the 2 .*did you mean 'jumps'"):
        load_videos(tmp_path / "x.csv", labels=["run", "jumps"])


def test_a_manifest_names_further_sources_in_columns_of_their_own(tmp_path):
    touch(tmp_path, "a.mp4", "a_ir.mp4", "a.wav")
    table = write(tmp_path / "x.csv", "path,path_infrared,path_sound,label", "a.mp4,a_ir.mp4,a.wav,x", "a.mp4,,,x")
    first, second = load_videos(table)
    assert {name: Path(place).name for name, place in first.sources.items()} == {
        "video": "a.mp4",
        "infrared": "a_ir.mp4",
        "sound": "a.wav",
    }
    assert (list(second.sources), first.extra) == (["video"], {})
    with pytest.raises(DataError, match=r"line 2: there is no file .*none\.wav"):
        load_videos(write(tmp_path / "x.csv", "path,path_sound", "a.mp4,none.wav"))


def test_a_manifest_tells_all_that_is_known_in_cells_or_in_files_beside_it(tmp_path):
    touch(tmp_path, "a.mp4")
    boxes = [{"box": [0, 0, 4, 5], "frame": 1, "label": "cat", "identity": "1"}]
    np.savez(tmp_path / "a.npz", masks=np.ones((2, 3, 4), dtype=np.uint8), depth=np.zeros((2, 3, 4)))
    write(tmp_path / "a.json", json.dumps({"boxes": boxes, "questions": [{"question": "how many?", "answer": 1}]}))
    header = ["path", "label", "scene", "domain", "caption", "boxes", "questions", "masks", "depth"]
    with (tmp_path / "x.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [header, ["a.mp4", "x", "hall", "day", "a cat, [big]", "a.json", "a.json", "a.npz", "a.npz"]]
        )
    (record,) = load_videos(tmp_path / "x.csv")
    masks = record.targets["masks"]
    assert masks.load().tolist() == np.ones((2, 3, 4)).tolist()
    assert {kind: target for kind, target in record.targets.items() if kind not in ("masks", "depth")} == {
        "label": Label("x"),
        "scene": Scene("hall"),
        "domain": Domain("day"),
        "caption": Caption(("a cat, [big]",)),
        "boxes": Boxes((Box(0, 0, 4, 5, frame=1, label="cat", identity="1"),)),
        "questions": Questions((QuestionAnswer("how many?", "1"),)),
    }
    line = {"path": "a.mp4", "label": "x", "boxes": boxes, "question": "how many?", "answer": "1"}
    (again,) = load_videos(write(tmp_path / "x.jsonl", json.dumps(line)))
    assert again.targets["boxes"] == record.targets["boxes"]
    assert again.targets["questions"] == record.targets["questions"]


def test_an_empty_class_folder_is_named(tmp_path):
    touch(tmp_path, "x/a.mp4", "y/readme.txt")
    with pytest.raises(DataError, match=r"class folder .*y holds no videos"):
        load_videos(tmp_path)


def test_a_place_that_is_not_there_or_not_known_lists_the_formats(tmp_path):
    with pytest.raises(DataError, match=r"there is no file or folder nowhere/data.*hub:nowhere/data.*kinetics"):
        load_videos("nowhere/data")
    touch(tmp_path, "notes.txt")
    with pytest.raises(DataError, match=r"(?s)in no known format.*ucf101: the official lists"):
        load_videos(tmp_path / "notes.txt")


@pytest.fixture
def ucf101(tmp_path) -> Path:
    touch(tmp_path, *(f"UCF-101/{name}/v_{name}_g0{g}_c01.avi" for name in ("Swing", "Archery") for g in (1, 2, 8)))
    lists = tmp_path / "ucfTrainTestlist"
    write(lists / "classInd.txt", "1 Swing", "2 Archery")
    for fold, test in ((1, 1), (2, 2)):
        train = [g for g in (1, 2, 8) if g != test]
        names = [(number, name) for number, name in ((1, "Swing"), (2, "Archery"))]
        write(lists / f"testlist0{fold}.txt", *(f"{name}/v_{name}_g0{test}_c01.avi" for _, name in names))
        lines = [f"{name}/v_{name}_g0{g}_c01.avi {number}" for number, name in names for g in train]
        write(lists / f"trainlist0{fold}.txt", *lines)
    return lists


def test_ucf101_has_the_order_of_its_class_index_and_its_folds(ucf101):
    records = load_videos(ucf101, "test", fold=2)
    assert records.labels == ("Swing", "Archery")
    assert summary(records) == [
        ("v_Swing_g02_c01.avi", "Swing", "test"),
        ("v_Archery_g02_c01.avi", "Archery", "test"),
    ]
    assert [record.group for record in records] == ["Swing_g02", "Archery_g02"]
    with pytest.raises(DataError, match=r"fold is 4.*the folds are \[1, 2\]"):
        load_videos(ucf101, fold=4)


def test_clips_that_an_official_list_names_must_be_there(ucf101):
    for path in (ucf101.parent / "UCF-101" / "Swing").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"trainlist01\.txt, line 1: there is no Swing/.*nor are 2 more"):
        load_videos(ucf101)


def test_hmdb51_takes_the_clips_that_a_fold_marks(tmp_path):
    touch(tmp_path, *(f"videos/{label}/{label}_{number}.avi" for label in ("wave", "cartwheel") for number in range(3)))
    for label in ("wave", "cartwheel"):
        lines = [f"{label}_{number}.avi {number} " for number in range(3)]
        write(tmp_path / "lists" / f"{label}_test_split1.txt", *lines)
    records = load_videos(tmp_path / "lists")
    assert records.labels == ("cartwheel", "wave")
    assert summary(records)[:2] == [("cartwheel_1.avi", "cartwheel", "train"), ("cartwheel_2.avi", "cartwheel", "test")]
    assert len(records) == 4


def test_kinetics_counts_the_clips_that_vanished(tmp_path, caplog):
    touch(tmp_path, "clips/abseiling/-abc_000010_000020.mp4", "clips/x_y.mp4")
    header = "label,youtube_id,time_start,time_end,split"
    rows = ["abseiling,-abc,10,20,train", "zumba,gone,0,10,train", "zumba,x_y,5,15,val"]
    records = load_videos(write(tmp_path / "train.csv", header, *rows), videos=tmp_path / "clips")
    assert summary(records) == [("-abc_000010_000020.mp4", "abseiling", "train"), ("x_y.mp4", "zumba", "val")]
    assert records[0].start_seconds is None  # the file was cut already
    assert records.absent == ("gone_000000_000010",)
    assert "1 clips that are not there" in caplog.text
    (tmp_path / "clips" / "x_y.mp4").rename(tmp_path / "clips" / "other.mp4")
    (tmp_path / "clips" / "abseiling" / "-abc_000010_000020.mp4").unlink()
    with pytest.raises(DataError, match="none of the 3 clips"):
        load_videos(tmp_path / "train.csv", videos=tmp_path / "clips")


def test_something_something_takes_its_labels_from_templates(tmp_path):
    touch(tmp_path, "20bn/1.webm", "20bn/2.webm")
    write(tmp_path / "labels.json", json.dumps({"Tearing something": "1", "Holding something": "0"}))
    train = [{"id": "1", "label": "tearing paper", "template": "Tearing [something]", "placeholders": ["paper"]}]
    write(tmp_path / "something-something-v2-train.json", json.dumps(train))
    write(tmp_path / "something-something-v2-test.json", json.dumps([{"id": "2"}]))
    records = load_videos(tmp_path)
    assert records.labels == ("Holding something", "Tearing something")
    assert summary(records) == [("2.webm", None, "test"), ("1.webm", "Tearing something", "train")]
    assert records.label_ids() == [-100, 1]


@pytest.fixture
def _cache_here(tmp_path_factory, monkeypatch):
    """Keeps what `datasets` prepares out of the user's cache."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    return write_clip(path, moving_square(num_frames=6, height=32, width=48))


def num_frames(records, record) -> int:
    with records.open(record) as reader:
        return len(reader)


@pytest.mark.usefixtures("_cache_here")
def test_a_data_set_with_embedded_videos_is_read_by_us(tmp_path, clip):
    rows = {"video": [{"bytes": clip.read_bytes(), "path": f"{name}.mp4"} for name in "ab"], "label": [1, 0]}
    features = datasets.Features(video=datasets.Video(decode=False), label=datasets.ClassLabel(names=["no", "yes"]))
    data = datasets.Dataset.from_dict(rows, features=features)
    data.to_parquet(tmp_path / "train.parquet")
    for records in (load_videos(data), load_videos(f"parquet:{tmp_path / 'train.parquet'}"), load_videos(tmp_path)):
        assert records.labels == ("no", "yes")
        assert [record.label for record in records] == ["yes", "no"]
        assert num_frames(records, records[1]) == 6


@pytest.mark.usefixtures("_cache_here")
def test_a_data_set_of_several_videos_a_row_has_them_as_sources_and_its_columns_as_targets(clip):
    video = {"bytes": clip.read_bytes(), "path": "a.mp4"}
    rows = {
        "wrist": [video],
        "video": [video],
        "labels": [[1, 0]],
        "scene": [2],
        "caption": ["a square moves"],
        "masks": [[[[0, 1]]]],
    }
    features = datasets.Features(
        wrist=datasets.Video(decode=False),
        video=datasets.Video(decode=False),
        labels=datasets.Sequence(datasets.ClassLabel(names=["push", "lift"])),
        scene=datasets.ClassLabel(names=["lab", "hall", "yard"]),
        caption=datasets.Value("string"),
        masks=datasets.Sequence(datasets.Sequence(datasets.Sequence(datasets.Value("uint8")))),
    )
    data = datasets.Dataset.from_dict(rows, features=features)
    records = load_videos(data)
    assert list(records[0].sources) == ["video", "wrist"]
    assert records.names == {"labels": ("push", "lift"), "scene": ("lab", "hall", "yard")}
    assert records.encode_targets(0, ["labels"])["labels"]["multi_hot"].tolist() == [1, 1]
    assert records.encode_targets(0, ["scene"]) == {"scene": 2}
    assert records[0].targets["caption"] == Caption(("a square moves",))
    assert records[0].targets["masks"].load().tolist() == [[[0, 1]]]
    with records.open_all(records[0]) as readers:
        assert [len(reader) for reader in readers.values()] == [6, 6]
    with pytest.raises(DataError, match="several columns of videos, wrist, front; rename the main one to 'video'"):
        load_videos(data.rename_column("video", "front"))


def test_of_the_kinds_that_are_not_asked_for_nothing_is_read(tmp_path):
    """So a column of another form is no obstacle."""
    touch(tmp_path, "a.mp4")
    table = write(tmp_path / "x.csv", "path,label,boxes,scene", "a.mp4,x,left of the door,hall")
    with pytest.raises(DataError, match=r"line 2: boxes: there is no file .*left of the door"):
        load_videos(table)
    (record,) = load_videos(table, targets=["label", "caption"])
    assert record.targets == {"label": Label("x")}
    assert record.extra == {"boxes": "left of the door", "scene": "hall"}
    with pytest.raises(ValueError, match="'box' is not known; known are masks, depth"):
        load_videos(table, targets=["box"])


@pytest.mark.usefixtures("_cache_here")
def test_videofolder_gives_its_splits_and_paths(tmp_path, clip):
    for name in ("train/x", "train/y", "test/x"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "clip.mp4").write_bytes(clip.read_bytes() + name.encode())
    records = load_videos(f"videofolder:{tmp_path}", "test")
    assert records.labels == ("x", "y")
    assert summary(records) == [("clip.mp4", "x", "test")]
    assert num_frames(records, records[0]) == 6


def test_tar_shards_of_others_are_read_at_their_offsets(tmp_path, clip):
    with tarfile.open(tmp_path / "part-0.tar", "w") as archive:
        for key, label in (("a/1", "0"), ("a/2", "1")):
            write(tmp_path / "label", label)
            archive.add(clip, f"{key}.mp4")
            archive.add(tmp_path / "label", f"{key}.cls")
    records = load_videos(tmp_path)
    assert [record.label for record in records] == ["0", "1"]
    assert num_frames(records, records[1]) == 6


def test_the_labels_of_real_data_load_as_they_are(shared_data):
    fights = load_videos(shared_data / "fights")
    assert (len(fights), fights.labels) == (300, ("fight", "noFight"))
    assert len(fights.with_split("train")) + len(fights.with_split("test")) == 300
    weizmann = load_videos(shared_data / "weizmann4" / "labels.csv", "test")
    assert weizmann.labels == ("bend", "jack", "wave1", "wave2")
    assert {record.group for record in weizmann}.isdisjoint(
        record.group for record in load_videos(shared_data / "weizmann4", "train")
    )


@pytest.mark.parametrize(
    ("place", "name"),
    [
        ("clips", "clips"),
        ("/home/someone/fights/labels.csv", "fights"),
        ("ucf101:/data/lists/", "lists"),
        ("datasets:someone/sprites", "sprites"),
        ("labels.csv", "labels.csv"),
    ],
)
def test_data_are_named_after_the_end_of_their_place(place, name):
    assert name_data(place) == name
