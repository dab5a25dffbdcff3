"""The formats that feeds come in, one module each; `ALL` is asked in order, the first that recognises reads.

A format is a module-level value of a class with:

    name: str
    def recognise(self, head: bytes, name: str) -> bool
        # by content: up to 64 KiB of the decompressed beginning; the name only breaks ties. Never raises.
    def read(self, source: Source) -> Iterator[Header | Record]
        # streams; the first item is a Header. Raises FeedError naming the place (line, element, record).

Formats know nothing of archives, compression, limits of size, or the database: `intake` and `store` do.
Text is cleaned with `model.text`; a record that is wrong in one field is an error with its place, never dropped.
What a record says that we have no use for is left out; a record of any system is passed on with its stream.
"""
