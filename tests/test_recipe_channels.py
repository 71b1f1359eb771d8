"""A recipe says how many channels its images have, and contradictions are told before anything runs."""

import pytest

from gracile.errors import RecipeError
from gracile.recipe import InputSpec
from tests.two_channels import recipe_of


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["input.channel_names=[t1]"], "names 1 channels, and input.channels is 2"),
        (["input.channel_names=[t1, T1]"], "T1 is there twice"),
        (["input.shown=flair"], "'flair', which is no channel. There are: the numbers from 1 to 2 and t1, t2"),
        (["input.shown=3"], "3, which is no channel"),
        (["input.shown=0"], "0, which is no channel"),
        (["input.channels=65"], "input.channels"),
        (["input.channels=0"], "input.channels"),
        (["input.fourth_axis=mean"], "makes one channel of a file"),
        (["input.fourth_axis=channels", "input.channels=1", "input.channel_names=[]"], "needs to know how many"),
    ],
)
def test_what_contradicts_is_told(settings, said):
    with pytest.raises(RecipeError) as caught:
        recipe_of("volume", *settings)
    assert said in caught.value.message


def test_a_region_of_color_pictures_and_a_fourth_axis_do_not_fit_pictures_of_own_channels():
    for setting, said in (
        ("input.region=fundus", "Write region: whole"),
        ("input.fourth_axis=channels", "for volumes"),
    ):
        with pytest.raises(RecipeError) as caught:
            recipe_of("image", setting)
        assert said in caught.value.message


def test_the_shown_channel_is_named_or_counted_from_one():
    assert recipe_of("volume").input.shown_index == 0
    assert recipe_of("volume", "input.shown=2").input.shown_index == 1
    assert recipe_of("volume", "input.shown=t2").input.shown_index == 1


def test_volumes_have_one_channel_and_pictures_three_where_it_is_not_said():
    assert (InputSpec(kind="volume").channels, InputSpec().channels) == (1, 3)
    assert not InputSpec(kind="volume", channels=3).separate, "an old recipe repeats a gray volume"
    assert not InputSpec(channels=3).separate
    assert InputSpec(channels=3, channel_names=["a", "b", "c"]).separate
    assert InputSpec(channels=2).separate
