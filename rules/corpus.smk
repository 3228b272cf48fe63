"""Text and tokens."""


rule fetch_corpus:
    """Fetch and check the plays, or read a local text; hold out whole documents."""
    input:
        text=config["data"]["text"] or [],
    output:
        folder=directory("<results>/corpus/documents"),
        manifest=reported("corpus/manifest", HEADINGS["corpus"]),
    log:
        "<logs>/fetch_corpus/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("fetch_corpus"),
        source=corpus_source(config["data"]),
    shell:
        "python src/fetch_corpus.py {params.source} --folder {output.folder:q}"
        " --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule train_tokenizer:
    """Learn a byte-level BPE on the training documents."""
    input:
        folder=rules.fetch_corpus.output.folder,
        manifest=rules.fetch_corpus.output.manifest,
    output:
        ranks="<results>/corpus/tokenizer.tiktoken",
        description="<results>/corpus/tokenizer.json",
    log:
        "<logs>/train_tokenizer/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("train_tokenizer"),
        vocab_size=config["data"]["vocab_size"],
    shell:
        "python src/train_tokenizer.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --vocab-size {params.vocab_size} --out {output.ranks:q} 2>&1 | tee {log:q}"


rule encode_corpus:
    """Turn both splits into tokens."""
    input:
        folder=rules.fetch_corpus.output.folder,
        manifest=rules.fetch_corpus.output.manifest,
        ranks=rules.train_tokenizer.output.ranks,
    output:
        tokens="<tokens>",
        meta="<tokens>.json",
    log:
        "<logs>/encode_corpus/all.log",
    conda:
        "../envs/environment.yaml"
    params:
        code=digest_of("encode_corpus"),
    shell:
        "python src/encode_corpus.py --folder {input.folder:q} --manifest {input.manifest:q}"
        " --tokenizer {input.ranks:q} --out {output.tokens:q} 2>&1 | tee {log:q}"
