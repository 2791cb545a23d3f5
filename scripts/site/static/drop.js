// Takes a capture that is dropped or chosen, has the worker annotate it, and shows what that answers.
(() => {
  const words = JSON.parse(document.querySelector("#words").textContent), status = document.querySelector("#status");
  const area = document.querySelector("#drop"), input = document.querySelector("#file");
  const say = (name, ...values) => values.reduce((said, value) => said.replace("{}", () => value), words[name]);
  let worker = null, name = "", saving = null;
  let turn = 0; // of what is done for a capture: whatever belongs to an earlier one comes too late

  /** Writes lines into the place for them, as text. */
  function show(lines, more = []) {
    status.replaceChildren(...lines.map((line, at) => Object.assign(document.createElement(at || !lines[1] ? "span" : "b"), { textContent: line })), ...more);
  }

  function wrong(message, hint) {
    stop();
    status.classList.add("bad");
    show([message, hint]);
    input.value = "";
  }

  // What stays where it is while lines change: a button that is drawn anew under a finger is never pressed.
  const row = document.createElement("p"), bar = document.createElement("progress");
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: words.stop });
  row.append(bar, " ", button);
  button.addEventListener("click", () => {
    stop();
    show([words.stopped]);
    input.value = "";
  });

  /** Says how far it has come: `done` of 1, where that is known. */
  function working(line, more = "", done = null) {
    status.classList.remove("bad");
    if (done === null) bar.removeAttribute("value");
    else bar.value = done;
    if (row.isConnected) [line, more || "\u00a0"].forEach((said, at) => (status.children[at].textContent = said));
    else show([line, more || "\u00a0"], [row]);
  }

  function stop() {
    turn++;
    worker?.terminate();
    worker = null;
  }

  /** Begins to load what it takes, once. */
  function begin() {
    if (worker) return;
    try {
      worker = new Worker("worker.js", { type: "module" });
    } catch (error) {
      wrong(say("failed", error.message), words["failed-hint"]);
      return;
    }
    const begun = worker;
    worker.onmessage = ({ data }) => begun === worker && heard[data.kind]?.(data);
    worker.onerror = (event) => {
      event.preventDefault();
      if (begun === worker) wrong(say("failed", event.message || "worker.js"), words["failed-hint"]);
    };
  }

  const heard = {
    loading: ({ got = 0 }) => {
      if (!name) return;
      if (got > words.bytes - (1 << 20)) working(words.starting); // the last is told by the megabyte
      else working(words.loading, got ? say("loaded", (got / 1e6).toFixed(1)) : "", got ? got / words.bytes : null);
    },
    starting: () => name && working(words.starting),
    reading: () => working(say("reading", name)),
    passed: ({ count }) => working(say("reading", name), say("passed", count)),
    failed: ({ why }) => wrong(say("failed", why), words["failed-hint"]),
    died: ({ why }) => wrong(say("died", why), words["died-hint"]),
    answer: ({ bytes }) => {
      const told = JSON.parse(new TextDecoder().decode(bytes)), lang = document.documentElement.lang.startsWith("zh") ? "zh" : "en";
      if (told.page) open(told.page);
      else {
        status.classList.add("bad");
        show([told.message[lang], told.hint[lang]]);
        input.value = "";
      }
    },
    saved: ({ bytes }) => {
      const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(new Blob([bytes], { type: "text/html" })), download: `${name}.html` });
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      if (saving) saving.textContent = words.save;
    },
  };

  async function take(file) {
    if (!file) return;
    name = file.name;
    const mine = ++turn;
    if (file.size > words.largest) {
      wrong(say("large", name, Math.ceil(file.size / (1 << 20)), words.largest >> 20), words["large-hint"]);
      return;
    }
    working(words.loading);
    let bytes;
    try {
      bytes = await file.arrayBuffer();
    } catch (error) {
      if (mine === turn) wrong(say("unreadable", name, error.message), words["unreadable-hint"]);
      return;
    }
    if (mine !== turn) return;
    begin();
    worker?.postMessage({ kind: "capture", name, bytes }, [bytes]);
  }

  /** Shows the capture's page in place of this one; the worker stays, to write it as a file. */
  function open(page) {
    for (const style of document.querySelectorAll('link[rel="stylesheet"]')) style.media = style.className === "shown" ? "all" : "not all";
    const bar = Object.assign(document.createElement("nav"), { className: "beside" });
    const back = Object.assign(document.createElement("a"), { href: location.pathname.split("/").pop() || "drop.html", textContent: `‹ ${words.another}` });
    const title = Object.assign(document.createElement("span"), { className: "title", textContent: name });
    saving = Object.assign(document.createElement("button"), { type: "button", textContent: words.save });
    saving.addEventListener("click", () => {
      saving.textContent = words.saving;
      worker.postMessage({ kind: "save", name });
    });
    bar.append(back, title, saving);
    document.body.replaceChildren(bar, Object.assign(document.createElement("div"), { id: "app" }));
    // The page's scripts are one classic script beside this: its module is a name that both know.
    $main_js.show(page); // eslint-disable-line no-undef
  }

  input.addEventListener("change", () => take(input.files[0]));
  input.addEventListener("click", begin);
  for (const kind of ["dragenter", "dragover"]) {
    addEventListener(kind, (event) => {
      event.preventDefault();
      area.classList.add("over");
      begin();
    });
  }
  addEventListener("dragleave", () => area.classList.remove("over"));
  addEventListener("drop", (event) => {
    if (!area.isConnected) return;
    event.preventDefault();
    area.classList.remove("over");
    take(event.dataTransfer.files[0]);
  });
})();
