# make            set up .venv and run the default DAG
# make smoke      the same for the smoke configuration, in its own folders
# make test       set up with the tests' needs, other libraries among them, and run them
# make offline    make smoke without a network, once the text is there
# make faults     kill, interrupt, fill, damage: a smoke run must end with the same bytes (root; half an hour)
# make test-cluster  the smoke run through a real SLURM of one node (root; Debian or Ubuntu)
# make fuzz       search for configurations and files that are not refused in one line
# make lint       every linter and formatter, checking only
# make benchmark  time the curvature engine against other libraries, draw and quote the result
# make gpu        measure a GPU in at most 8 minutes; GPU_PYTHON=python3 takes that Python's torch, with no set-up
# make report     Snakemake's HTML report of the finished default run
# make check      compare the claims of a finished default run with the committed reference
# make reference  copy a finished default run's tables to results/reference and renew the numbers in README and docs

PYTHON ?= python3
CORES ?= all
BENCHMARKS = benchmarks/results
GPU_PYTHON ?= .venv/bin/python
TOKENS = results/corpus/tokens.safetensors
RUN = PATH="$(CURDIR)/.venv/bin:$$PATH"

.PHONY: all smoke offline faults test-cluster test test-smoke fuzz lint benchmark gpu report check reference texts clean
all: .venv/run
	$(RUN) snakemake --cores $(CORES)

smoke: .venv/run
	$(RUN) snakemake --cores $(CORES) --configfile configs/smoke.yaml

offline: .venv/run
	$(RUN) snakemake --cores 1 --configfile configs/smoke.yaml --until fetch_corpus
	$(RUN) unshare --map-root-user --net snakemake --cores $(CORES) --configfile configs/smoke.yaml

faults: .venv/dev
	$(RUN) python tests/reliability/faults.py

test-cluster: .venv/dev
	$(RUN) python tests/cluster/run.py

test: .venv/peers
	$(RUN) python -m pytest --numprocesses auto --dist loadfile

test-smoke: .venv/dev
	$(RUN) python -m pytest --numprocesses auto -m smoke

fuzz: .venv/dev
	VALLEYSCOPE_FUZZ=search $(RUN) python -m pytest tests/fuzz

lint: .venv/dev
	$(RUN) ruff check src tests benchmarks
	$(RUN) ruff format --check src tests benchmarks
	$(RUN) mypy
	$(RUN) snakefmt --check Snakefile rules
	$(RUN) snakemake --lint

benchmark: .venv/peers
	$(RUN) snakemake --cores $(CORES) results/corpus/tokens.safetensors
	$(RUN) python benchmarks/measure_engine.py --tokens results/corpus/tokens.safetensors --out $(BENCHMARKS)
	$(RUN) python benchmarks/measure_grid.py --out $(BENCHMARKS)/grid.csv
	$(RUN) python benchmarks/measure_probe.py --tokens results/corpus/tokens.safetensors --threads 2 --out $(BENCHMARKS)
	$(RUN) python src/plot_figure.py --figure engine --out figures/engine.pdf \
	  --tables $(foreach table,products solvers growth warm_starts traces,$(BENCHMARKS)/$(table).csv)
	$(MAKE) texts

gpu: $(if $(filter .venv/bin/python,$(GPU_PYTHON)),.venv/peers)
	$(GPU_PYTHON) benchmarks/measure_gpu.py --device cuda $(addprefix --tokens ,$(wildcard $(TOKENS))) --out $(BENCHMARKS)

report: .venv/run
	$(RUN) snakemake --cores 1 --report report.html

check: .venv/run
	@$(RUN) python src/check_reference.py --claims results/claims.csv --reference results/reference/claims.csv

reference: .venv/run
	@$(RUN) snakemake -n --cores 1 2>&1 | grep -q "Nothing to be done" \
	  || { echo "make: the default run is not finished; run make first" >&2; exit 1; }
	$(RUN) python src/write_reference.py --results results --reference results/reference
	$(RUN) python benchmarks/estimate_scale.py --config configs/d6.yaml --out $(BENCHMARKS)/scale.csv
	$(MAKE) texts

texts: .venv/run
	$(RUN) python src/fill_texts.py --reference results/reference --benchmarks $(BENCHMARKS) --figures figures --figures-page docs/figures.md \
	  --texts README.md docs/checks.md docs/claims.md docs/curvature.md docs/probing.md docs/running.md docs/scale.md docs/reproducibility.md
	$(RUN) python src/write_api.py --out docs/api.md
	$(RUN) python src/write_licences.py --requirements envs/requirements.txt --out docs/licences.md

clean:
	rm -rf .venv

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "make: $(PYTHON) is older than Python 3.11; set PYTHON=python3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -m venv .venv \
	  || { echo "make: $(PYTHON) cannot make a virtual environment; install its venv module (Debian: python3-venv)" >&2; rm -rf .venv; exit 1; }

.venv/run: envs/requirements.txt .venv/bin/python
	.venv/bin/python -m pip install --quiet -r envs/requirements.txt
	@touch $@

.venv/dev: envs/dev.txt .venv/run
	.venv/bin/python -m pip install --quiet -r envs/dev.txt
	@touch $@

.venv/peers: envs/peers.txt .venv/dev
	.venv/bin/python -m pip install --quiet --no-deps -r envs/peers.txt
	@touch $@
