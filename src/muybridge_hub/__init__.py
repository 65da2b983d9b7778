"""A hub of one's own: the Hugging Face Hub's HTTP protocol over a folder, with pages for people.

    settings.py      how a server is set up
    cli.py           the command `muybridge-hub`

    names.py         which names are taken: of repositories, revisions and files
    database.py      the tables, and transactions over them
    storage.py       where contents lie: a folder, or what fsspec knows by address
    contents.py      contents come in, are verified, and are kept once
    xet.py           files that come in chunks, made whole
    trees.py         the folders of a commit
    git.py           the names that git gives to contents
    repositories.py  repositories, branches, tags, commits
    large.py         which files are large
    facts.py         what a repository says of itself: card, config, weights
    listing.py       lists: filtered, sorted, page after page
    access.py        tokens, and what each may do
    copying.py       repositories come in from a folder or another hub
    maintenance.py   is all there that should be, and what is there that nothing needs
    hub.py           all of these together, without a web server

    app.py           the web application: routes, errors, headers
    calls.py         a request, taken apart and checked
    serving.py       uvicorn, taught to send files by the kernel
    inference.py     models are tried on clips, by a command in a process of its own
    api/             the protocol: accounts, repositories, commits, uploads, xet, downloads; predictions
    pages/           pages for people: lists, cards, files, history

It imports neither torch nor muybridge: serving files needs no network.
"""
