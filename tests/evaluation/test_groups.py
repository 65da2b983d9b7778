import pytest

from muybridge.data.labels import read_labels
from muybridge.evaluation.groups import read_groups


def test_the_groups_of_ucf101_hold_each_label_once():
    groups = read_groups("ucf101")
    assert sorted(label for labels in groups.values() for label in labels) == sorted(read_labels("ucf101"))


def test_groups_come_from_a_file_and_anything_else_is_named(tmp_path):
    path = tmp_path / "groups.json"
    path.write_text('{"sideways": ["left", "right"]}')
    assert read_groups(str(path)) == {"sideways": ["left", "right"]}
    path.write_text('["left", "right"]')
    with pytest.raises(ValueError, match=r"groups.json does not hold groups of labels"):
        read_groups(str(path))
    with pytest.raises(ValueError, match="'hmdb51' is neither a file of groups nor a data set whose groups are known"):
        read_groups("hmdb51")
