"""Tables of label verdicts, good and bad: the pipeline and the page must read them alike."""

HEADER = "row,label,verdict,correction"
VERDICTS = ["4,4,wrong,9", "14,4,right,", "5,5,unreadable,"]
"""Of rows of `conftest.training_digits`."""

GOOD = "\n".join([HEADER, *VERDICTS, ""])

UNUSUAL = {
    "a byte order mark": f"\N{ZERO WIDTH NO-BREAK SPACE}{GOOD}",
    "CRLF": GOOD.replace("\n", "\r\n"),
    "no line end": GOOD.removesuffix("\n"),
    "quotes": f'"row","label","verdict","correction"\n"4","4","wrong","9"\n{VERDICTS[1]}\n'
    f'"5","5","unreadable",""\n',
    "spaces": GOOD.replace(",", " , ").replace(" , \n", " ,  \n"),
    "leading zeros": GOOD.replace("14,4", "014,04"),
    "an empty column data": "\n".join([f"{HEADER},data", *(f"{line}," for line in VERDICTS)]),
}
"""Files that hold what `GOOD` holds."""

BAD = {
    "nothing": ("", "empty|columns"),
    "a blank first line": (f"\n{GOOD}", "empty|columns"),
    "semicolons": (GOOD.replace(",", ";"), "separated by semicolons|separated by commas"),
    "tabs": (GOOD.replace(",", "\t"), "separated by tabs|separated by commas"),
    "another header": (GOOD.replace("verdict", "answer"), "columns"),
    "no header": ("\n".join(VERDICTS), "columns"),
    "a missing cell": (GOOD.replace("14,4,right,", "14,4,right"), "line 3: expected 4 cells"),
    "one cell too many": (GOOD.replace("4,wrong,9", "4,wrong,9,"), "line 2: expected 4 cells"),
    "a blank line": (GOOD.replace("\n14", "\n\n14"), "line 3: expected 4 cells"),
    "a row that is no number": (GOOD.replace("\n5,", "\nfive,"), "line 4: row must be an integer"),
    "a negative row": (GOOD.replace("\n5,", "\n-5,"), "line 4: row must be an integer"),
    "a fraction": (GOOD.replace("\n5,", "\n5.0,"), "line 4: row must be an integer"),
    "a row beyond all": (GOOD.replace("\n5,", f"\n{'9' * 5000},"), "line 4: row must be"),
    "a label that is no digit": (GOOD.replace("14,4", "14,10"), "line 3: label must be an integer"),
    "no label": (GOOD.replace("14,4", "14,"), "line 3: label must be .*found nothing"),
    "an unknown verdict": (GOOD.replace("right", "ok"), "line 3: verdict must be .*found '?ok"),
    "another case": (GOOD.replace("right", "Right"), "line 3: verdict must be"),
    "no verdict": (GOOD.replace("right", ""), "line 3: verdict must be .*found nothing"),
    "no correction": (GOOD.replace("wrong,9", "wrong,"), "line 2: correction must be an integer"),
    "a correction that is no digit": (GOOD.replace("wrong,9", "wrong,12"), "line 2: correction"),
    "the label as correction": (GOOD.replace("wrong,9", "wrong,4"), "line 2: the correction 4 is"),
    "a correction of a right label": (GOOD.replace("right,", "right,9"), "line 3: a label that is"),
    "a row twice": (f"{GOOD}04,4,right,\n", "line 5: row 4 was already given"),
    "an open quote": (GOOD.replace("right", '"right'), "line [34]: "),
}
"""Files that must be refused, and what is said of them."""
