"""`lab assign`: the assignments there are, the proof of one before it goes out, and a folder for each student."""

from __future__ import annotations

import json
import secrets
import shlex
import sys
import tempfile
from pathlib import Path
from typing import TextIO

from lab.app.course import course_key
from lab.app.progress import Progress
from lab.errors import UsageError
from lab.grade import autograder, keys
from lab.grade import roster as rosters
from lab.grade.assignment import Assignment, load, schema, shipped
from lab.grade.bank.item import items
from lab.grade.bank.moodle import moodle_xml
from lab.grade.bank.qti import qti_package
from lab.grade.belonging import foreign
from lab.grade.facts import Facts
from lab.grade.feedback import Degree
from lab.grade.handing_out import fill, holds
from lab.grade.handout import command
from lab.grade.playing import run_of
from lab.grade.proof import Proof, prove
from lab.grade.recording import come_with, facts_of, facts_of_scenario
from lab.grade.reports.terminal import proof_told
from lab.grade.submissions import CAPTURE
from lab.grade.variant import Variant, derive, diverse
from lab.render.words import console, pad, wrap
from lab.system import files
from lab.system.streams import say
from lab.text import Lang, Text, counted, safe

_NAME = 16
_MOST_NAMED = 10  # of students whose ids stand twice
_PRACTICE = "practice"  # who has no id


def listed(out: TextIO, lang: Lang) -> None:
    """Lists the assignments that come with the lab."""
    page = console(out)
    for name in shipped():
        found = load(name)
        number = len(found.questions)
        count = Text(f"{counted(number, 'question')}, {found.points:g} points", f"{number} 题，{found.points:g} 分")
        page.print(f"{pad(name, _NAME)}{found.title.pick(lang)} · {count.pick(lang)}", soft_wrap=True)
    page.print()
    for line in wrap(_HINT.pick(lang), 80):
        page.print(line, style="dim", soft_wrap=True)


_HINT = Text(
    "lab assign NAME --check proves one against real captures; NAME may be a TOML file of your own.",
    "lab assign 名称 --check 用真实抓包验证作业；名称也可以是你自己的 TOML 文件。",
)


def print_schema(out: TextIO) -> None:
    out.write(json.dumps(schema(), ensure_ascii=False, indent=2) + "\n")


def check(name: str, captures: list[Path], variants: int, lang: Lang) -> int:
    """Proves an assignment and says what came of it; returns the exit status: 1 where it does not hold."""
    found = proof_of(load(name), captures, variants, lang)
    proof_told(found, sys.stdout, lang)
    if variants and found.holds:
        kinds = diverse(load(name), variants, b"")[1]
        told = Text(
            f"So it does in {variants} variants, each played for this: {min(variants, kinds)} of {kinds} kinds.",
            f"为此运行的 {variants} 份变体中也成立：共 {kinds} 种，运行了 {min(variants, kinds)} 种。",
        )
        sys.stdout.write(told.pick(lang) + "\n")
    return 0 if found.holds else 1


def make_key(path: Path, lang: Lang) -> None:
    """Makes a course's key and says what it is good for."""
    keys.make(path)
    where = shlex.quote(str(path))
    told = Text(
        f"Saved: {path}. Keep it, and keep it to yourself: variants are derived from it, and marked with it.",
        f"已保存：{path}。请妥善保管，不要外传：变体由它导出，评阅也需要它。",
    )
    how = Text(
        f"Next: lab assign NAME --roster CLASS.csv --key {where} -o FOLDER",
        f"接下来：lab assign 名称 --roster 名单.csv --key {where} -o 文件夹",
    )
    sys.stdout.write(f"{told.pick(lang)}\n{how.pick(lang)}\n")


def hand_out(
    name: str, student: str, roster: Path | None, key: Path | None, both: bool, folder: Path, lang: Lang
) -> None:
    """Makes the folder of a student, or of each in a class. Without a key, and for nobody in a class, to practise."""
    if roster is not None and (student or key is None):
        raise UsageError(
            Text("a roster takes a key, and no single student", "名单需要密钥，且不能同时指定单个学生"),
            Text(
                "lab assign NAME --roster CSV --key FILE -o FOLDER",
                "lab assign 名称 --roster CSV --key 文件 -o 文件夹",
            ),
        )
    assignment, secret = load(name), course_key(key, lang)
    langs: tuple[Lang, ...] = (lang, "zh" if lang == "en" else "en") if both else (lang,)
    if roster is None:
        if secret is not None and not student:
            raise UsageError(
                Text("whose variant it is to be is not said", "没有说明是谁的变体"),
                Text("--student ID, or --roster CSV for a class", "--student 学号，全班则用 --roster CSV"),
            )
        fill(folder, assignment, derive(assignment, student or _PRACTICE, secret), langs)
        where = shlex.quote(str(folder))
        told = Text(f"Made: {folder}", f"已生成：{folder}")
        play = f"{command(assignment)} --variant {where}"
        how = Text(f"Next: {play}", f"接下来：{play}")
        sys.stdout.write(f"{told.pick(lang)}\n{how.pick(lang)}\n")
        return
    students, twice = rosters.read(roster)
    if twice:
        named = ", ".join(map(safe, twice[:_MOST_NAMED])) + (" …" if len(twice) > _MOST_NAMED else "")
        words = Text(
            f"note: more than once in {roster}, and one folder each: {named}",
            f"注意：以下学号在 {roster} 中重复，各只有一个文件夹：{named}",
        )
        say(words.pick(lang))
    derived = [derive(assignment, each, secret) for each in students]
    made = [
        fill(_place(folder, where, each), assignment, each, langs)
        for each, where in zip(derived, rosters.folders(students), strict=True)
    ]
    told = Text(
        f"{counted(len(made), 'student')} in {folder}: {counted(sum(made), 'folder')} made, "
        f"{len(made) - sum(made)} there already.",
        f"{folder} 中共 {len(made)} 名学生：新建 {sum(made)} 个文件夹，{len(made) - sum(made)} 个已存在。",
    )
    sys.stdout.write(told.pick(lang) + "\n")


def _place(folder: Path, where: str, variant: Variant) -> Path:
    """Returns the folder of a student: the one called as the id, where it was made before the class had another one
    whose id looks alike."""
    plain = folder / variant.student
    return plain if rosters.is_name(variant.student) and holds(plain, variant) else folder / where


def make_autograder(name: str, degree: Degree, wheels: Path | None, out: Path, lang: Lang) -> None:
    """Makes the zip that Gradescope takes, and says what to do with it."""
    autograder.pack(out, name, degree, wheels, lang)
    told = Text(
        f"Saved: {out}. Upload it as the autograder of a programming assignment; students hand in answers.toml and "
        "capture.pcapng. No key is in it: whose variant it is, lab grade --key says of the bulk download.",
        f"已保存：{out}。请作为编程作业的自动评分程序上传；学生提交 answers.toml 和 capture.pcapng。"
        "其中没有密钥：是否属于本人的变体，请下载全部提交物后用 lab grade --key 核对。",
    )
    sys.stdout.write(told.pick(lang) + "\n")


def make_bank(name: str, form: str, captures: list[Path], out: Path, lang: Lang) -> None:
    """Makes a question bank of an assignment, an item for each capture: of those that come with the lab, or others."""
    assignment = load(name)
    used = captures or come_with(assignment.proof)
    if not used:
        raise UsageError(
            Text("there is no capture to ask about", "没有可供出题的抓包"),
            Text("name some with --capture", "请用 --capture 指定"),
        )
    made = list(items(assignment, used))
    if len({each.file for each in made}) < len(made):
        raise UsageError(
            Text("two captures have the same name", "有两份抓包同名"),
            Text("give each its own", "请分别命名"),
        )
    said = moodle_xml(assignment, made, lang).encode() if form == "moodle" else qti_package(assignment, made, lang)
    with files.to_file(out) as file:
        file.write(said)
    count = len(made[0].blanks)
    told = Text(
        f"Saved: {out}. {counted(len(made), 'item')} of {counted(count, 'question')} each, "
        "one for each capture: draw one for each student.",
        f"已保存：{out}。共 {len(made)} 道题（每份抓包一道，各含 {count} 问）：为每个学生随机抽取一道。",
    )
    sys.stdout.write(told.pick(lang) + "\n")


def proof_of(assignment: Assignment, captures: list[Path], variants: int = 0, lang: Lang = "en") -> Proof:
    """Returns the proof of an assignment: against its scenarios' captures, others that are given, and those of so many
    variants, which are played."""
    goals = [each["not-in"] for question in assignment.questions for each in question.given.get("goal", ())]
    with tempfile.TemporaryDirectory(prefix="handshake-lab-") as folder:
        others = {name: facts_of_scenario(name, Path(folder)) for name in dict.fromkeys(goals)}
        facts = {name: facts_of_scenario(name, Path(folder)) for name in assignment.proof}
        facts |= {str(each): facts_of(each) for each in captures}
        played, lacking = _variants(assignment, variants, Path(folder), lang)
        found = prove(assignment, facts | played, others)
        return found._replace(faults=(*found.faults, *lacking))


def _variants(assignment: Assignment, count: int, folder: Path, lang: Lang) -> tuple[dict[str, Facts], list[Text]]:
    """Plays variants of nobody's, and returns their captures' facts, and what these do not have of their variant.

    Raises UsageError where what is played is up to the student.
    """
    if count and assignment.variant.get("own-rules"):
        raise UsageError(
            Text(
                f"{assignment.id} leaves the rules of the wire to students: a variant alone is not handed in",
                f"{assignment.id} 由学生自定线路规则：变体本身并不构成提交物",
            ),
            Text("prove it without --variants, and with --capture FILE", "请去掉 --variants，改用 --capture 文件 验证"),
        )
    found, lacking = {}, list[Text]()
    progress = Progress(count, Text("played", "已运行"), lang)
    try:
        for at, variant in enumerate(diverse(assignment, count, secrets.token_bytes())[0] if count else (), 1):
            place = folder / f"variant-{at}"
            place.mkdir()
            run_of(variant, place).play_on()
            facts = facts_of(place / CAPTURE)
            name = f"variant {at} ({', '.join((variant.scenario, *variant.rules))})"
            lacking += [Text(f"{name}: {each.en}", f"{name}：{each.zh}") for each in foreign(variant, facts)]
            found[name] = facts
            progress.done(at)
    finally:
        progress.close()
    return found, lacking
