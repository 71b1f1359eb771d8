"""Problems that are alike become one line; what differs in more than names, sizes and counts does not."""

from gracile.data import Problem, problem_lines


def sized(file, size):
    message = f"{file} has {size} pixels, its image {file.replace('labels', 'images')} has 12 x 10."
    return Problem("error", file, message, "Export it again.")


def test_one_problem_is_told_in_full():
    assert problem_lines([Problem("error", "a/b.png", "The image has no label.", "Add one.")]) == [
        "error: a/b.png: The image has no label. Add one."
    ]
    assert problem_lines([Problem("warning", "a", "The class vein never occurs.")]) == [
        "warning: a: The class vein never occurs."
    ]
    assert problem_lines([]) == []


def test_a_file_is_not_named_twice():
    assert problem_lines([Problem("error", "a/b.nii", "a/b.nii is truncated.", "Copy it again.")]) == [
        "error: a/b.nii is truncated. Copy it again."
    ]


def test_equal_problems_are_counted_and_the_first_files_named():
    problems = [Problem("error", f"images/{name}.png", "The image has no label.", "Add one.") for name in "abcdef"]
    assert problem_lines(problems) == [
        "error: 6 times, first in images/a.png: The image has no label. Add one. "
        "Also in images/b.png, images/c.png, images/d.png and 2 more."
    ]


def test_sizes_names_and_counts_of_pixels_may_differ():
    assert len(problem_lines([sized("my labels/one.png", "9 x 9"), sized("my labels/two.png", "8 x 7")])) == 1
    shares = ("3.1%", "12%")
    outside = [Problem("warning", f"{s}.png", f"{s} of the foreground lies outside {s}/fov.png.") for s in shares]
    assert len(problem_lines(outside)) == 1
    values = [Problem("error", f"{n}.png", f"{n}.png holds 7 ({n} pixels). Known: [0, 1].") for n in range(4)]
    assert len(problem_lines(values)) == 1


def test_other_values_remedies_and_severities_stand_apart():
    said = [("error", "holds 7 (2 pixels).", "x"), ("error", "holds 9 (2 pixels).", "x"),
            ("error", "holds 7 (2 pixels).", "y"), ("warning", "holds 7 (2 pixels).", "x")]  # fmt: skip
    problems = [Problem(severity, "a.png", f"a.png {message}", remedy) for severity, message, remedy in said]
    assert len(problem_lines(problems)) == 4


def test_many_lines_of_one_table_are_counted_without_repeating_its_name():
    problems = [Problem("error", "t.csv", f"t.csv, line {n}: there is no file pictures/{n}.png.") for n in (2, 3, 4)]
    assert problem_lines(problems) == [
        "error: 3 times, first in t.csv: t.csv, line 2: there is no file pictures/2.png."
    ]
