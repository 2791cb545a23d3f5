# The front door. Plain `make` says what there is.
# ARGS reaches the command: make lab-tcp ARGS="--ipv6 --lang zh"
# TESTBED=docker plays it in containers: make lab-tcp TESTBED=docker

PYTHON ?= $(shell for each in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$each -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUNS ?= 100
TESTBED ?= auto
# Tests in one process more than there are processors; what may not run beside its like stays in one (tests/conftest.py).
SIDE_BY_SIDE := -n auto --no-loadscope-reorder
BUILD := docker build --quiet $(if $(LAB_BUILD_NETWORK),--network $(LAB_BUILD_NETWORK))
# What namespaces inside a container take.
RIGHTS := --cap-add SYS_ADMIN --cap-add NET_ADMIN \
	$(foreach each,seccomp apparmor systempaths,--security-opt $(each)=unconfined)

# What is asked of the sources, and no other Python or tshark answers otherwise.
SAME_EVERYWHERE := $(addprefix --ignore tests/,page test_structure.py test_names.py render/test_diagram_drawn.py)

.DEFAULT_GOAL := help
.PHONY: help venv lab-all lab-tcp lab-tls lab-ws step view grade wireshark site test test-fast test-image check bench soak kill fuzz clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

lab-tcp: $(BIN)/lab ## a real TCP connection, packet by packet 真实的 TCP 连接，逐包讲解
	@$(BIN)/lab tcp --testbed $(TESTBED) $(ARGS)

lab-tls: $(BIN)/lab ## the TLS handshake on top of it, with its secrets TLS 握手，连同其密钥
	@$(BIN)/lab tls --testbed $(TESTBED) $(ARGS)

lab-ws: $(BIN)/lab ## a WebSocket connection: the upgrade, frames, closing WebSocket 连接：升级、帧、关闭
	@$(BIN)/lab ws --testbed $(TESTBED) $(ARGS)

lab-all: $(BIN)/lab ## the three labs, and all the steps that were seen 三个实验，以及看到的全部步骤
	@$(BIN)/python scripts/all.py --testbed $(TESTBED) $(ARGS)

step: $(BIN)/lab ## hold each packet and say what becomes of it: ARGS="tls/1.3" 逐包调试：扣住每个包，由你决定去留
	@$(BIN)/lab step $(or $(ARGS),tcp/connection)

view: $(BIN)/lab ## a capture, or a scenario live, as a page in the browser: ARGS="tcp/syn-lost" 在浏览器中查看
	@$(BIN)/lab view $(or $(ARGS),captures/tls-1.3.pcapng)

grade: $(BIN)/lab ## a small class is made and marked: copies, edited captures, a bomb among it 生成并评阅一个小班级
	@set -e; class=$$(mktemp -d); trap 'rm -rf "$$class"' EXIT; $(BIN)/python -m scripts.classroom "$$class/handed-in"; \
		$(BIN)/lab grade "$$class/handed-in" --to captures/out/class $(ARGS)
	@if [ -t 1 ] && [ -n "$$DISPLAY$$WAYLAND_DISPLAY$$TERM_PROGRAM" ]; then \
		$(BIN)/python -m webbrowser "file://$$PWD/captures/out/class/report.html" >/dev/null 2>&1 || true; fi

wireshark: $(BIN)/lab ## a capture, or a scenario live, in Wireshark: ARGS="tcp/syn-lost" 在 Wireshark 中查看
	@$(BIN)/lab wireshark $(or $(ARGS),captures/tls-1.2-rsa.pcapng)

site: $(BIN)/lab ## all reference captures, the notes and a page for one's own as a web site: ARGS="--to DIR" 生成静态网站
	@$(BIN)/python -m scripts.site $(ARGS)

venv: $(BIN)/lab ## what the lab needs, in .venv 安装实验室所需

test: $(VENV)/dev ## everything this machine can test 运行全部测试
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-fast: $(VENV)/dev ## most tests, in some minutes: what needs no namespaces, Docker, tshark or browser 大多数测试，几分钟
	@$(BIN)/python -m pytest $(SIDE_BY_SIDE) -q -m "not machine and not slow" --hypothesis-profile fast $(ARGS)

test-image: ## the tests of Python and its libraries inside the Docker image 在 Docker 镜像内运行测试
	$(BUILD) --target test --tag handshake-lab:test .
	docker run --rm --init handshake-lab:test $(SIDE_BY_SIDE) -q -m "not machine and not slow" --hypothesis-profile fast \
		$(SAME_EVERYWHERE) $(ARGS)
	$(BUILD) --target test-wireshark --tag handshake-lab:test-wireshark .
	docker run --rm --init $(RIGHTS) --env LAB_NO_SKIP=1 handshake-lab:test-wireshark $(SIDE_BY_SIDE) -q -m tshark \
		--ignore tests/scenarios --ignore tests/testbed --ignore tests/test_bench.py

check: $(VENV)/dev ## style and types 风格与类型检查
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

bench: $(VENV)/dev ## speed, beside the usual tools and its goals: ARGS="--quick" 性能对比
	@$(BIN)/python -m scripts.bench $(ARGS)

soak: $(VENV)/dev ## every scenario RUNS times, against both kernels 反复运行所有场景
	@$(BIN)/python scripts/soak.py $(RUNS) $(ARGS)

kill: $(VENV)/dev ## end the lab RUNS times at random moments: nothing may be left 在随机时刻终止，不得有残留
	@$(BIN)/python scripts/kill.py $(RUNS) $(ARGS)

fuzz: $(VENV)/dev ## hostile captures by the thousand: ARGS="10000 --seed 1" 成千上万的畸形抓包
	@$(BIN)/python scripts/fuzz.py $(ARGS)

clean: ## away with what can be made again 清理
	rm -rf $(VENV) captures/out/* .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

# A venv that is not finished is begun again: bin/lab appears last.
$(BIN)/lab: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed  需要 Python 3.11 或更新版本" >&2; \
		echo "hint: sudo apt-get install python3 python3-venv" >&2; exit 4; }
	@echo "Preparing .venv (once) … 正在准备 .venv（仅一次）…"
	@rm -f $(BIN)/lab $(VENV)/dev
	@$(PYTHON) -I -m venv $(VENV) || { echo "error: Python's venv module is incomplete  Python 的 venv 模块不完整" >&2; \
		echo "hint: sudo apt-get install python3-venv" >&2; exit 4; }
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@sed -i.pip -e '1s|^#!.*/python[0-9.]*$$|& -I|' -e "2s|\"\$$0\"|-I &|" $(BIN)/lab && rm -f $(BIN)/lab.pip
	@$(BIN)/python -I -m compileall -q lab

$(VENV)/dev: $(BIN)/lab requirements-dev.lock
	@echo "Preparing the tests' tools (once) … 正在准备测试工具（仅一次）…"
	@$(BIN)/python -I -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
