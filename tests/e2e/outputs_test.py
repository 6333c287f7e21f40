"""Everything `report` writes, from one run of four ranks on the simulated node: each format is read by
something that is not ours (Chromium, protoc, sqlite3, csv, jsonschema, pyarrow) and compared with the
simulator's own log or with the JSON report."""

import csv
import html.parser
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import unittest
from collections import Counter, defaultdict

import harness

STEPS = 6
CONFIG = ["--layers", 2, "--hidden", 512, "--heads", 8, "--seq", 512, "--batch", 2, "--vocab", 8000,
          "--tp", 2, "--dp", 2, "--steps", STEPS]
ENVIRONMENT = {"MFUTRACE_TIMING": "events", "SIMGPU_TIME_SCALE": "0.05"}


class OutputTest(unittest.TestCase):
    maxDiff = 4000

    @classmethod
    def setUpClass(cls):
        harness.require(harness.SIMGPU, harness.PRELOAD, harness.JOBS)
        cls.bench = harness.Bench()
        cls.run_ = cls.bench.good_job("gpt_train", *CONFIG, ranks=4, env=ENVIRONMENT)
        cls.json = cls.run_.report()
        cls.folder = cls.bench.new_folder()

    @classmethod
    def tearDownClass(cls):
        cls.bench.close()

    @classmethod
    def report(cls, *args, status=0):
        done = subprocess.run([str(harness.TOOL), "report", str(cls.run_.out), "-q", "--peaks",
                               str(cls.run_.log_folder / "peaks.toml"), *map(str, args)],
                              check=False, capture_output=True, timeout=harness.TIMEOUT_S)
        assert done.returncode == status, done
        return done

    def truth_flop(self):
        """Executed FLOPs by rank, from the simulator's log."""
        flop = Counter()
        for op in self.run_.log:
            flop[op.rank] += op.flop if op.kind == "gemm" else 0
        return dict(flop)


class Files(OutputTest):
    def test_existing_files_are_left_alone(self):
        for option in ("--html", "--perfetto", "--chrome", "--sqlite", "--prom", "--markdown", "--json"):
            path = self.folder / f"kept{option}"
            path.write_text("mine", encoding="utf-8")
            done = self.report(option, path, status=2)
            self.assertIn(b"refusing to overwrite", done.stderr)
            self.assertEqual(path.read_text(encoding="utf-8"), "mine")
            self.report(option, path, "--force")
            self.assertNotEqual(path.read_bytes(), b"mine")

    def test_one_of_them_may_go_to_stdout(self):
        self.assertIn(b"</html>", self.report("--html", "-").stdout)
        self.assertIn(b"mfutrace_flop_total", self.report("--prom", "-").stdout)
        self.assertIn(b"cannot both go to stdout",
                      self.report("--html", "-", "--prom", "-", status=2).stderr)
        for option in ("--csv", "--sqlite"):
            self.report(option, "-", status=2)


class Tables(OutputTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = cls.folder / "run.sqlite"
        cls.report("--sqlite", cls.path, "--csv", cls.folder / "csv")
        cls.database = sqlite3.connect(cls.path)

    @classmethod
    def tearDownClass(cls):
        cls.database.close()
        super().tearDownClass()

    def test_sqlite_is_whole(self):
        self.assertEqual(self.database.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
        self.assertEqual(self.database.execute("PRAGMA user_version").fetchone(), (1,))

    def test_documented_tables_and_columns_are_those_there_are(self):
        text = (harness.SOURCE / "docs/EXPORTS.md").read_text(encoding="utf-8")
        documented = set(re.findall(r"(?m)^\| `(\w+)` \| a", text))
        tables = {row[0] for row in self.database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.assertEqual(documented, tables)
        for table in tables - {"ops"}:
            row = re.search(rf"(?m)^\| `{table}` \| [^|]* \| (.*) \|$", text).group(1)
            named = set(re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row)))
            columns = {column[1] for column in self.database.execute(f"PRAGMA table_info({table})")}
            times = {column for column in columns if "the times" in row and column in self.json["steps"][0]
                     and column.endswith("_ns") and column not in named}
            self.assertEqual(named | times, columns, table)

    def test_queries_of_the_documentation(self):
        text = (harness.SOURCE / "docs/EXPORTS.md").read_text(encoding="utf-8")
        queries = re.findall(r"```sql\n(.*?)```", text, re.S)
        self.assertEqual(len(queries), 4)
        answers = [self.database.execute(query).fetchall() for query in queries]
        self.assertEqual(dict(answers[0]), self.truth_flop())
        by_time = [row[0] for row in answers[1]]
        ops = [op["label"] for op in self.json["ops"] if op["kind"] != "collective" and op["time_ns"]]
        self.assertEqual(sorted(by_time), sorted(ops[:10]))
        sizes = {one["id"]: one["size"] for one in self.json["communicators"]}
        self.assertTrue(answers[2])
        for communicator, _, _, members, _ in answers[2]:
            self.assertEqual(members, sizes[communicator])

    def test_every_collective_of_the_log_is_there(self):
        logged = Counter(op.rank for op in self.run_.log if op.kind == "collective")
        found = dict(self.database.execute(
            "SELECT rank, COUNT(*) FROM collectives JOIN ranks USING (device_id) GROUP BY rank"))
        self.assertEqual(found, dict(logged))

    def test_csv_says_what_json_says(self):
        def read(name):
            with open(self.folder / "csv" / f"{name}.csv", encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        for name in ("ranks", "steps", "ops", "communicators"):
            rows = read(name)
            self.assertEqual(len(rows), len(self.json[name]), name)
            for row, expected in zip(rows, self.json[name]):
                for key in set(row) & set(expected):
                    value = expected[key]
                    if isinstance(value, float):
                        self.assertEqual(float(row[key]), value, (name, key))
                    elif not isinstance(value, (list, dict)):
                        self.assertEqual(row[key], "" if value is None else str(value), (name, key))
        budget = [row for row in read("budget") if row["window"] == "run"]
        self.assertEqual(sum(int(row["ns"]) for row in budget), self.json["run"]["window_ns"])

    def test_parquet_has_the_same_rows(self):
        try:
            import pyarrow.parquet
        except ImportError:
            self.skipTest("no pyarrow: pip install pyarrow")
        folder = self.folder / "parquet"
        subprocess.run([sys.executable, harness.SOURCE / "scripts/sqlite_to_parquet", self.path, folder],
                       check=True, timeout=harness.TIMEOUT_S)
        tables = [row[0] for row in self.database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'")]
        self.assertEqual(sorted(path.stem for path in folder.iterdir()), sorted(tables))
        for table in tables:
            read = pyarrow.parquet.read_table(folder / f"{table}.parquet").to_pylist()
            rows = self.database.execute(f"SELECT * FROM {table}").fetchall()
            self.assertEqual([tuple(row.values()) for row in read], rows, table)

    def test_prometheus_text(self):
        text = self.report("--prom", "-").stdout.decode()
        samples = {}
        helped, typed = set(), set()
        for line in text.splitlines():
            if line.startswith("#"):
                _, word, name, _ = line.split(" ", 3)
                (helped if word == "HELP" else typed).add(name)
                continue
            found = re.fullmatch(r'([a-z_]+)\{((?:[a-z]+="[^"]*",?)*)\} ([0-9.]+)', line)
            self.assertIsNotNone(found, line)
            name, labels, value = found.groups()
            self.assertNotIn((name, labels), samples)
            samples[name, labels] = float(value)
            self.assertIn(name, helped & typed)
            self.assertTrue(name.startswith("mfutrace_"))
        flop = Counter()
        for (name, labels), value in samples.items():
            if name == "mfutrace_flop_total":
                flop[int(re.search(r'rank="(\d+)"', labels).group(1))] += int(value)
        self.assertEqual(dict(flop), self.truth_flop())
        exposed = sum(value for (name, labels), value in samples.items()
                      if name == "mfutrace_communication_seconds_total" and 'exposed="true"' in labels)
        self.assertAlmostEqual(exposed, sum(rank["exposed_ns"] for rank in self.json["ranks"]) / 1e9, 8)

    def test_markdown_is_tables(self):
        text = self.report("--markdown", "-").stdout.decode()
        self.assertIn(f"**MFU {self.json['steady']['mfu'] * 100:.1f} %**", text)
        top = next(op["label"] for op in self.json["ops"] if op["kind"] != "collective")
        self.assertIn(top.replace(">", r"\>"), text)
        columns = None
        for line in text.splitlines():
            if not line.startswith("|"):
                columns = None
                continue
            cells = len(re.findall(r"(?<!\\)\|", line))
            self.assertIn(columns, (None, cells), line)
            columns = cells


class Schema(OutputTest):
    def test_json_against_its_schema(self):
        try:
            import jsonschema
        except ImportError:
            self.skipTest("no jsonschema: pip install jsonschema")
        schema = json.loads((harness.SOURCE / "docs/report.schema.json").read_text(encoding="utf-8"))
        jsonschema.Draft202012Validator.check_schema(schema)
        validator = jsonschema.Draft202012Validator(schema)
        validator.validate(self.json)
        validator.validate(self.run_.report("--rank", "1"))
        # It can fail.
        for break_it in (lambda run: run.pop("ops"), lambda run: run["ops"][0].update(calls="3"),
                         lambda run: run["run"].update(mfu="38 %"),
                         lambda run: run["ranks"][0].update(window_ns=1.5)):
            broken = json.loads(json.dumps(self.json))
            break_it(broken)
            self.assertFalse(validator.is_valid(broken))


def decoded(data):
    """What protoc makes of the trace: {field number: [values]}, nested. Without a schema (--decode_raw) it
    cannot tell text from messages, so that only has to succeed."""
    def protoc(*options):
        return subprocess.run(["protoc", *options], input=data, check=True, capture_output=True,
                              timeout=harness.TIMEOUT_S).stdout.decode()
    assert protoc("--decode_raw").startswith("1 {")
    here = harness.SOURCE / "tests/e2e"
    stack = [defaultdict(list)]
    for line in protoc(f"-I{here}", "--decode=Trace", here / "perfetto_fields.proto").splitlines():
        line = line.strip()
        if line == "}":
            stack.pop()
            continue
        field, value = line.split(" ", 1)
        assert field[0] == "f", f"a field that is not Perfetto's: {line}"
        number = int(field[1:].rstrip(":"))
        if value == "{":
            inner = defaultdict(list)
            stack[-1][number].append(inner)
            stack.append(inner)
        elif value.startswith('"'):
            stack[-1][number].append(value[1:-1])
        else:
            stack[-1][number].append(float(value) if "." in value or "e" in value else int(value))
    return stack[0]


class Perfetto(OutputTest):
    """Field numbers are those of Perfetto's own .proto files."""

    @classmethod
    def setUpClass(cls):
        if shutil.which("protoc") is None:
            raise unittest.SkipTest("no protoc: apt-get install protobuf-compiler")
        super().setUpClass()
        path = cls.folder / "trace.pftrace"
        cls.report("--perfetto", path)
        cls.packets = decoded(path.read_bytes())[1]
        cls.tracks, cls.slices, cls.counters = {}, [], []
        names, open_ = {}, defaultdict(list)
        for packet in cls.packets:
            for descriptor in packet[60]:
                cls.tracks[descriptor[1][0]] = descriptor
            for data in packet[12]:
                for entry in data[2]:
                    names[entry[1][0]] = entry[2][0]
            for event in packet[11]:
                kind, track, time_ns = event[9][0], event[11][0], packet[8][0]
                if kind == 1:
                    one = {"track": track, "begin": time_ns, "name": names[event[10][0]],
                           "flows": event[47], "correlation": (event[52] or [0])[0]}
                    open_[track].append(one)
                    cls.slices.append(one)
                elif kind == 2:
                    open_[track].pop()["end"] = time_ns
                elif kind == 4:
                    cls.counters.append((track, time_ns))
        assert not any(open_.values())

    def name_of(self, track):
        return (self.tracks[track][2] or [""])[0]

    def rank_of(self, track):
        while self.tracks[track][5]:
            track = self.tracks[track][5][0]
        return int(self.tracks[track][3][0][6][0].removeprefix("rank "))

    def test_the_first_packet_begins_a_sequence(self):
        self.assertEqual(self.packets[0][13], [3])
        self.assertEqual({packet[10][0] for packet in self.packets}, {1})

    def test_the_tree_of_tracks(self):
        children = defaultdict(set)
        for uuid, track in self.tracks.items():
            if track[5]:
                self.assertIn(track[5][0], self.tracks)
                children[self.rank_of(uuid)].add(self.name_of(uuid))
        self.assertEqual(set(children), {0, 1, 2, 3})
        for names in children.values():
            self.assertLessEqual({"MFU %", "exposed communication %", "steps", "GPU streams",
                                  "exposed communication", "host calls"}, names)
        groups = {uuid for uuid in self.tracks if self.name_of(uuid) == "GPU streams"}
        streams = [track for track in self.tracks.values() if track[5] and track[5][0] in groups]
        self.assertGreaterEqual(len(streams), 8)  # two a rank
        axes = {track[8][0][7][0] for track in self.tracks.values() if track[8]}
        self.assertEqual(axes, {"mfu", "exposed"})

    def test_slices_are_what_the_simulator_did(self):
        """Of the calls in the sampled steps, each one with its duration."""
        windows = {}
        for one in self.slices:
            if self.name_of(one["track"]) == "steps":
                rank = self.rank_of(one["track"])
                begin, end = windows.get(rank, (one["begin"], one["end"]))
                windows[rank] = (min(begin, one["begin"]), max(end, one["end"]))
        found = defaultdict(list)
        for one in self.slices:
            if self.name_of(one["track"]).startswith("stream") and one["name"].startswith("gemm"):
                found[self.rank_of(one["track"])].append(one["end"] - one["begin"])
        for rank, durations in found.items():
            logged = [op.end_ns - op.start_ns for op in self.run_.log
                      if op.rank == rank and op.kind == "gemm"]
            self.assertGreater(len(durations), len(logged) * (STEPS - 2) / STEPS)
            self.assertLessEqual(len(durations), len(logged))
            # Brackets contain the work and little more.
            logged.sort()
            for duration in durations:
                self.assertGreaterEqual(duration, logged[0] - 2000)
        self.assertEqual(set(found), {0, 1, 2, 3})

    def test_flows_lead_from_a_host_call_to_its_work(self):
        ends = defaultdict(list)
        for one in self.slices:
            for flow in one["flows"]:
                ends[flow].append((self.name_of(one["track"]), self.rank_of(one["track"]), one["name"],
                                   one["begin"]))
        self.assertTrue(ends)
        for both in ends.values():
            self.assertEqual(len(both), 2)
            host, gpu = sorted(both, key=lambda end: end[0] != "host calls")
            self.assertEqual(host[0], "host calls")
            self.assertTrue(gpu[0].startswith("stream"))
            self.assertEqual(host[1:3], gpu[1:3])

    def test_one_collective_is_alike_on_all_ranks(self):
        members = defaultdict(set)
        labels = defaultdict(set)
        for one in self.slices:
            if one["correlation"]:
                members[one["correlation"]].add(self.rank_of(one["track"]))
                labels[one["correlation"]].add(one["name"])
        self.assertTrue(members)
        whole = [ranks for ranks in members.values() if len(ranks) in (2, 4)]
        self.assertGreater(len(whole), 0.9 * len(members))  # steps' borders cut a few
        self.assertEqual({len(names) for names in labels.values()}, {1})

    def test_chrome_json_has_the_same_slices(self):
        events = json.loads(self.report("--chrome", "-").stdout)["traceEvents"]
        slices = Counter(event["name"] for event in events if event["ph"] == "X")
        self.assertEqual(slices, Counter(one["name"] for one in self.slices))
        begins = {event["id"] for event in events if event["ph"] == "s"}
        self.assertEqual(begins, {event["id"] for event in events if event["ph"] == "f"})
        for event in events:
            self.assertGreaterEqual(event.get("ts", 0), 0)


class Reader(html.parser.HTMLParser):
    """What a reader without JavaScript sees: rows of tables by their id."""

    def __init__(self, page):
        super().__init__()
        self.tables, self.ids, self.table, self.is_body = defaultdict(list), set(), None, False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get("id"))
        if tag == "table":
            self.table = attrs["id"]
        self.is_body = (self.is_body or tag == "tbody") and tag != "tfoot"
        if tag == "tr" and self.is_body:
            self.tables[self.table].append([])
        if tag == "td" and self.is_body:
            self.tables[self.table][-1].append("")

    def handle_data(self, data):
        if self.is_body and self.tables[self.table] and self.tables[self.table][-1]:
            self.tables[self.table][-1][-1] += data.strip()

    def handle_endtag(self, tag):
        if tag in ("tbody", "table"):
            self.is_body = False


PROBE = """<script>
addEventListener('load', () => setTimeout(() => {
  const out = {};
  const rows = () => [...document.querySelectorAll('#ops-table tbody tr')];
  const column = (n) => rows().map((row) => row.cells[n].textContent);
  const head = (n) => document.querySelectorAll('#ops-table thead th')[n].querySelector('button');
  out.before = column(2);
  head(2).click(); out.down = column(2); out.aria = head(2).parentNode.getAttribute('aria-sort');
  head(2).click(); out.up = column(2);
  head(0).click(); out.names = column(0);
  const input = document.getElementById('ops-filter');
  const type = (text) => { input.value = text; input.dispatchEvent(new Event('input')); };
  const word = column(0)[0].split(' ').pop();
  type(word); out.word = word;
  out.filtered = rows().filter((row) => !row.hidden).map((row) => row.textContent);
  type('no such operation'); out.none = rows().filter((row) => !row.hidden).length;
  type(''); out.all = rows().filter((row) => !row.hidden).length;
  out.drawn = {};
  for (const canvas of document.querySelectorAll('canvas')) {
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    out.drawn[canvas.id] = data.some((value) => value !== 0);
  }
  out.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  out.width = innerWidth;
  out.focusable = [...document.querySelectorAll('th button, input, a, summary')].length;
  const pre = document.createElement('pre');
  pre.id = 'probe';
  pre.textContent = JSON.stringify(out);
  document.body.append(pre);
}, 200));
</script>"""


class Page(OutputTest):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.path = cls.folder / "report.html"
        cls.report("--html", cls.path)
        cls.page = cls.path.read_text(encoding="utf-8")

    def browse(self, path, *options):
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        if chromium is None:
            self.skipTest("no Chromium: apt-get install chromium")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run",
                   f"--user-data-dir={self.folder / 'profile'}", "--enable-logging=stderr",
                   "--virtual-time-budget=3000", *options, path.as_uri()]
        return subprocess.run(command, check=True, capture_output=True, timeout=harness.TIMEOUT_S,
                              env={**os.environ, "HOME": str(self.folder)})

    def test_reads_without_javascript(self):
        reader = Reader(self.page)
        self.assertLessEqual({"summary", "course", "budget", "operations", "roofline", "timeline",
                              "communication", "ranks", "precision", "coverage"}, reader.ids)
        ops = [op for op in self.json["ops"] if op["kind"] != "collective"]
        rows = reader.tables["ops-table"]
        self.assertEqual([row[0] for row in rows], [op["label"] for op in ops])
        self.assertEqual([row[2] for row in rows], [str(op["calls"]) for op in ops])
        self.assertEqual(len(reader.tables["course-table"]), len(self.json["course"]))
        self.assertEqual(len(reader.tables["ranks-table"]), 4)
        self.assertIn(f"{self.json['steady']['mfu'] * 100:.1f} %", self.page)

    def test_loads_without_an_error_or_a_request(self):
        log = self.folder / "net.json"
        done = self.browse(self.path, "--dump-dom", f"--log-net-log={log}",
                           "--disable-background-networking", "--disable-component-update")
        console = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
        self.assertEqual(console, [])
        self.assertIn('class="js"', done.stdout.decode())
        found = set(re.findall(r'"url":"([^"]+)"', log.read_text(encoding="utf-8", errors="replace")))
        # What the browser asks of its maker on its own is not the page's: that has no initiator of ours.
        asked = {url for url in found if not re.match(r"(file|data|chrome|devtools|about):", url)}
        by_page = {url for url in asked if not re.search(r"//[\w.-]*(google|gstatic|gvt1)[\w.-]*/", url)}
        self.assertEqual(by_page, set())

    def test_sorts_filters_and_draws_wide_and_narrow(self):
        probed = self.folder / "probed.html"
        probed.write_text(self.page.replace("</body>", PROBE + "</body>"), encoding="utf-8")
        for width in (1280, 400):
            done = self.browse(probed, "--dump-dom", f"--window-size={width},2000")
            found = re.search(r'<pre id="probe">(.*?)</pre>', done.stdout.decode(), re.S)
            self.assertIsNotNone(found, done.stderr[-2000:])
            out = json.loads(found.group(1).replace("&lt;", "<").replace("&gt;", ">")
                             .replace("&amp;", "&"))
            calls = [int(text) for text in out["before"]]
            self.assertEqual([int(text) for text in out["down"]], sorted(calls, reverse=True))
            self.assertEqual([int(text) for text in out["up"]], sorted(calls))
            self.assertEqual(out["aria"], "descending")
            self.assertEqual(sorted(out["names"]), sorted(op["label"] for op in self.json["ops"]
                                                          if op["kind"] != "collective"))
            self.assertTrue(out["filtered"])
            for row in out["filtered"]:
                self.assertIn(out["word"].lower(), row.lower())
            self.assertEqual((out["none"], out["all"]), (0, len(calls)))
            self.assertEqual(out["drawn"], {"course-chart": True, "roof-chart": True,
                                            "comm-chart": True})
            self.assertLessEqual(out["overflow"], 0, f"scrolls sideways at {width}")


class Live(OutputTest):
    def run_live(self, *options, env=None):
        out = self.bench.new_folder() / "traces"
        command = [harness.TOOL, "run", "-o", out, *options, "--", sys.executable, harness.LAUNCH, 4,
                   "--", harness.JOBS / "job_gpt_train", *CONFIG[:-1], 60]
        # Slow enough to be looked at: about three seconds.
        return self.bench.run(command, preload=False,
                              env={"SIMGPU_TIME_SCALE": "0.005", "MFUTRACE_FLUSH_MS": "50",
                                   "MFUTRACE_LIBRARY": harness.PRELOAD, **(env or {})})

    def test_status_line(self):
        done = self.run_live("--status", "0.3s")
        self.assertEqual(done.status, 0, done)
        lines = [line for line in done.stderr.decode().splitlines() if line.startswith("mfutrace  step: ")]
        self.assertTrue(lines, done)
        steps = []
        for line in lines:
            found = re.fullmatch(r"mfutrace  step: (\d+|-)  mfu: ([\d.]+%|-)  tflops: ([\d.]+|-)  "
                                 r"step_ms: ([\d.]+|-)  exposed_comm: ([\d.]+%|-)  "
                                 r"slowest: (\d+\(\+[\d.]+ms\)|-)", line)
            self.assertIsNotNone(found, line)
            steps.append(-1 if found.group(1) == "-" else int(found.group(1)))
        self.assertEqual(steps, sorted(steps))

    def test_prometheus_file_appears_whole(self):
        path = self.bench.new_folder() / "job.prom"
        done = self.run_live(env={"MFUTRACE_PROM": path})
        self.assertEqual(done.status, 0, done)
        text = path.read_text(encoding="utf-8")
        self.assertIn("mfutrace_build_info", text.splitlines()[-1])
        self.assertEqual(sum(line.startswith("mfutrace_flop_total{") for line in text.splitlines()), 4)
        self.assertEqual([other.name for other in path.parent.iterdir()], ["job.prom"])

    def test_a_wrong_interval_is_refused(self):
        done = self.bench.tool("run", "--status", "soon", "--", "true")
        self.assertEqual(done.status, 125)
        self.assertIn(b"--status", done.stderr)


if __name__ == "__main__":
    harness.main()
