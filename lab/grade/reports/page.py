"""One page of HTML that needs nothing else: no network, no script, light and dark, fit for paper.

Whatever a student has written is text in it. The page itself forbids whatever is not in it to be loaded.
"""

from __future__ import annotations

from html import escape

from lab.text import Lang, safe

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root{--ink:#1f2733;--dim:#5a6675;--paper:#fff;--card:#f6f8fa;--rule:#d5dce4;--good:#14753f;--half:#8f4d00;--bad:#b3202c;
--note:#1b6099;color-scheme:light dark}
@media screen and (prefers-color-scheme:dark){:root{--ink:#e4e9ef;--dim:#9aa7b8;--paper:#14181e;--card:#1d232c;
--rule:#343d49;--good:#4fcf88;--half:#f0b24d;--bad:#ff7b84;--note:#67b5f0}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2rem 1.2rem 4rem;max-width:66rem;background:var(--paper);
color:var(--ink);
font:16px/1.55 'Noto Sans','Noto Sans CJK SC','PingFang SC','Microsoft YaHei',
'WenQuanYi Micro Hei',system-ui,sans-serif}
h1{font-size:1.6rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.2rem 0 .8rem}
p{margin:.35rem 0}.dim{color:var(--dim)}.total{font-size:1.25rem;font-weight:700;margin:.8rem 0 1.2rem}
.card{border:1px solid var(--rule);border-left:5px solid var(--dim);border-radius:6px;background:var(--card);
padding:.7rem 1rem;margin:.7rem 0;break-inside:avoid}
.card h3{font-size:1rem;margin:0 0 .3rem;display:flex;justify-content:space-between;gap:1rem}
.card h3 b{white-space:nowrap}
.good{border-left-color:var(--good)}.half{border-left-color:var(--half)}.bad{border-left-color:var(--bad)}
.open{border-left-color:var(--note)}
.good h3 b{color:var(--good)}.half h3 b,.half .said{color:var(--half)}.bad h3 b,.bad .said{color:var(--bad)}
.open h3 b,.open .said{color:var(--note)}
code{font-family:'DejaVu Sans Mono',Consolas,Menlo,monospace;font-size:.92em;overflow-wrap:anywhere}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .7rem .3rem 0;border-bottom:1px solid var(--rule);vertical-align:top}
td.number,th.number{text-align:right}
.warn{color:var(--bad)}.look{color:var(--half)}
.wide{overflow-x:auto;margin:1rem 0}
svg.ladder{max-width:100%;height:auto;border:1px solid var(--rule);border-radius:6px}
svg.chart{max-width:100%;height:auto}svg.chart text{fill:var(--ink);font-size:12px}svg.chart .faint{fill:var(--dim)}
svg.chart .grid{stroke:var(--rule)}svg.chart .bar{fill:var(--good)}svg.chart .bar.half{fill:var(--half)}
svg.chart .bar.bad{fill:var(--bad)}svg.chart .dot{fill:var(--note)}svg.chart .zero{stroke:var(--dim)}
@media print{body{max-width:none;padding:0;font-size:11pt}.card{background:none}svg.ladder{border:0}a{color:inherit}}
"""


def text(said: str) -> str:
    """Returns a text as HTML shows it, wherever it stands."""
    return escape(safe(said))


def page(title: str, lang: Lang, body: str) -> str:
    """Returns a whole document; `title` is a text, `body` is HTML."""
    return (
        f'<!DOCTYPE html>\n<html lang="{"zh-CN" if lang == "zh" else "en"}">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n{body}</body>\n</html>\n"
    )
