"""A self-hosted hub: it serves the HTTP protocol of the Hugging Face Hub from a folder, and web pages for people.

    settings.py      the settings of a server
    cli.py           the command `muybridge-hub`

    names.py         which names are allowed for repositories, revisions and files
    database.py      the tables and their transactions
    storage.py       stores bytes in a folder, or in any remote storage that fsspec supports
    blob_store.py    keeps the content of every file once, under its sha256
    xet.py           rebuilds files from the chunks that Xet clients upload
    trees.py         the folders of a commit
    git.py           computes the hashes that git would give to files, folders and commits
    repositories.py  repositories, branches, tags, commits
    large.py         decides which files are large
    facts.py         reads a repository's card, config and weight headers
    listing.py       lists of repositories: filtered, sorted, in pages
    access.py        tokens, and what each of them may read and write
    copying.py       copies repositories from a folder or from another hub
    maintenance.py   check, garbage collection and backup
    hub.py           all of the above together, without a web server

    app.py           the web application: routes, errors, headers
    calls.py         parses and checks a request for an endpoint
    serving.py       runs uvicorn, and lets the kernel send files
    inference.py     runs models on clips, with a command in its own process
    api/             the protocol: accounts, repositories, commits, uploads, Xet, downloads; predictions
    pages/           web pages: lists, cards, files, history

The package imports neither torch nor muybridge: serving files needs no model.
"""
