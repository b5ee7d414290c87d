"""What findings do to a start, and the statements that mend them, as they are printed."""

import pytest

from bootstrap import catalog, findings
from bootstrap.catalog import Finding

MADE_ANEW = ("BEGIN", "CREATE TABLE new (id int)", "COMMIT")


def difference(kind: catalog.Kind, *fix: str, destructive: bool = False) -> catalog.Finding:
    return catalog.Finding(
        kind, f"{kind} of item", "this", "that", fix=fix, destructive=destructive
    )


def test_statements_are_printed_once_and_what_loses_data_is_commented_out() -> None:
    found = findings.placed(
        [
            difference("type", *MADE_ANEW),
            difference("nullability", *MADE_ANEW),
            difference("extra-table", "DROP TABLE\n  item;", destructive=True),
            difference("enum"),
            difference("comment"),
        ],
        "",
    )
    assert findings.fix_sql(each.document() for each in found) == (
        "-- type of item: wanted this, found that\n"
        "BEGIN;\n"
        "CREATE TABLE new (id int);\n"
        "COMMIT;\n"
        "\n"
        "-- nullability of item: wanted this, found that\n"
        "-- mended by the statements above\n"
        "\n"
        "-- extra-table of item: wanted this, found that\n"
        "-- DROP TABLE\n"
        "--   item;\n"
        "\n"
        "-- enum of item: wanted this, found that\n"
        "\n"
        "-- comment of item: wanted this, found that\n"
    )


def test_another_default_schema_is_set_before_each_fix() -> None:
    (mended, bare) = findings.placed(
        [difference("index", "CREATE INDEX x"), difference("enum")], "Shop"
    )
    assert mended.fix == ('SET search_path TO "Shop"', "CREATE INDEX x")
    assert bare.fix == ()
    (plain,) = findings.placed([difference("index", "CREATE INDEX x")], "public")
    assert plain.fix == ("CREATE INDEX x",)


@pytest.mark.parametrize(
    ("mode", "means", "stopping"),
    [
        ("auto", "snapshot", {"missing-table", "missing-column", "type", "view"}),
        ("auto", "replay", {"missing-table", "missing-column", "type", "view"}),
        ("auto", "models", {"missing-table", "missing-column"}),
        ("auto", "heads", {"missing-table", "missing-column"}),
        ("missing", "snapshot", {"missing-table", "missing-column"}),
        ("changed", "models", {"missing-table", "missing-column", "type", "view"}),
        ("none", "snapshot", set()),
        (
            "any",
            "models",
            {"missing-table", "missing-column", "type", "view", "extra-table", "comment", "owner"},
        ),
    ],
)
def test_the_mode_says_which_classes_stop_a_start(
    mode: str, means: findings.Means, stopping: set[str]
) -> None:
    kinds: tuple[catalog.Kind, ...] = (
        "missing-table",
        "missing-column",
        "type",
        "view",
        "extra-table",
        "comment",
        "owner",
    )
    found = {kind for kind in kinds if findings.by_mode(mode, means, kind) == "stop"}
    assert found == stopping


def test_rules_are_read_from_text() -> None:
    assert findings.rules(" index = ignore,extra-table=stop , ") == {
        "index": "ignore",
        "extra-table": "stop",
    }
    with pytest.raises(ValueError, match="unknown class 'colour'"):
        findings.rules("colour=stop")
    with pytest.raises(ValueError, match="index: wanted stop, report, ignore, found 'never'"):
        findings.rules("index=never")


def test_a_long_list_is_cut() -> None:
    found = [Finding("index", f"index {number}", "one", "nothing") for number in range(22)]
    lines = findings.listed(found).split("\n")
    assert lines[1] == "  index 0: wanted one, found nothing"
    assert lines[-1] == "  and 2 more"
    assert len(lines) == 22
    assert findings.count(found) == "22 differences"
    assert findings.count(found[:1]) == "1 difference"
