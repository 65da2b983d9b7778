"""Groups of labels, as papers report them: which kind of action a model knows, and which it does not."""

import json
from pathlib import Path

from muybridge.data.labels import read_labels

Groups = dict[str, list[str]]

# The five types of action that UCF101 is divided into (Soomro, Zamir & Shah 2012); what is left are sports.
UCF101_BUT_SPORTS = {
    "human-object interaction": """
        ApplyEyeMakeup ApplyLipstick BlowDryHair BrushingTeeth CuttingInKitchen Hammering HulaHoop JugglingBalls
        JumpRope Knitting Mixing MoppingFloor Nunchucks PizzaTossing ShavingBeard SkateBoarding SoccerJuggling Typing
        WritingOnBoard YoYo""",
    "body motion only": """
        BabyCrawling BlowingCandles BodyWeightSquats HandstandPushups HandstandWalking JumpingJack Lunges PullUps
        PushUps RockClimbingIndoor RopeClimbing Swing TaiChi TrampolineJumping WalkingWithDog WallPushups""",
    "human-human interaction": "BandMarching Haircut HeadMassage MilitaryParade SalsaSpin",
    "playing musical instruments": """
        Drumming PlayingCello PlayingDaf PlayingDhol PlayingFlute PlayingGuitar PlayingPiano PlayingSitar PlayingTabla
        PlayingViolin""",
}


def ucf101() -> Groups:
    groups = {name: labels.split() for name, labels in UCF101_BUT_SPORTS.items()}
    taken = {label for labels in groups.values() for label in labels}
    return {**groups, "sports": [label for label in read_labels("ucf101") if label not in taken]}


GROUPS = {"ucf101": ucf101}


def read_groups(name: str) -> Groups:
    """The groups of a known data set, or those in a JSON file {group: [label, …], …}."""
    if name in GROUPS:
        return GROUPS[name]()
    path = Path(name)
    if not path.is_file():
        raise ValueError(
            f"{name!r} is neither a file of groups nor a data set whose groups are known: {', '.join(GROUPS)}"
        )
    groups = json.loads(path.read_text(encoding="utf-8"))
    is_good = isinstance(groups, dict) and all(isinstance(labels, list) for labels in groups.values())
    if not is_good:
        raise ValueError(f'{name} does not hold groups of labels; they are written {{"group": ["label", …], …}}')
    return groups
