import torch
from torch.testing import assert_close

from muybridge.models.pooling import pool_positions


def test_hidden_states_of_any_form_are_pooled():
    maps = torch.randn(2, 5, 3, 4, 4)
    assert_close(pool_positions(maps, 2), maps.mean(dim=(2, 3, 4)))
    tokens = torch.randn(2, 7, 5)
    assert_close(pool_positions(tokens, 2), tokens.mean(dim=1))
    frames = torch.randn(2 * 6, 5, 4, 4)
    assert_close(pool_positions(frames, 2), frames.reshape(2, 6, 5, 16).mean(dim=(1, 3)))
    tokens_of_frames = torch.randn(2 * 6, 9, 5)
    assert_close(pool_positions(tokens_of_frames, 2), tokens_of_frames.reshape(2, 6 * 9, 5).mean(dim=1))
    vectors = torch.randn(2, 5)
    assert_close(pool_positions(vectors, 2), vectors)


def test_frames_that_are_not_real_do_not_count():
    mask = torch.tensor([[True, True, False, False], [True, True, True, True]])
    frames = torch.randn(2 * 4, 5, 3, 3)
    rows = frames.reshape(2, 4, 5, 9).mean(dim=3)
    expected = torch.stack([rows[0, :2].mean(dim=0), rows[1].mean(dim=0)])
    assert_close(pool_positions(frames, 2, mask), expected)
    assert_close(pool_positions(rows, 2, mask), expected)  # the states of a recurrence
    tokens = torch.randn(2 * 4, 9, 5)
    rows = tokens.reshape(2, 4, 9, 5).mean(dim=2)
    assert_close(pool_positions(tokens, 2, mask), torch.stack([rows[0, :2].mean(dim=0), rows[1].mean(dim=0)]))
    vectors = torch.randn(2, 5)  # of whole videos, whose mask the network has heeded already
    assert_close(pool_positions(vectors, 2, mask), vectors)
