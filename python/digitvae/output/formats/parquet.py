"""Parquet files as Hugging Face ``datasets`` reads them: PNGs in a table.

The schema's metadata tell ``datasets`` which column is a picture, so that its rows hold decoded
images; for everybody else the column is a struct of bytes and a file name.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from digitvae.output.formats.format import Format, Writer
from digitvae.output.spec import OutputSpec

_ROWS = 1000
"""Images in a row group (half a MB): what a reader takes at once, and what is held back here."""


class ParquetWriter(Writer):
    """A table with the columns ``image``, ``index`` and, where there are labels, ``label``.

    ``image`` is a struct of ``bytes``, the PNG file, and ``path``, the name it would have;
    ``index`` is uint64, ``label`` int64 from 0 to 9.
    """

    def __init__(self, file: BinaryIO, spec: OutputSpec, threads: int | None) -> None:
        super().__init__(file, spec, threads)
        import pyarrow as pa
        from pyarrow import parquet

        from digitvae.output.png import PngEncoder
        from digitvae.output.streams import Onward

        self._png = PngEncoder.of(spec, threads)
        self._index = spec.first
        self._pictures: list[bytes] = []
        self._labels: list[int] | None = [] if spec.labels else None
        self._schema = _schema(labels=spec.labels)
        # pyarrow wants more methods, and closes what it writes to.
        self._output = Onward(file.write)
        self._writer = parquet.ParquetWriter(
            pa.PythonFile(self._output, mode="w"),
            self._schema,
            compression="NONE",  # PNGs are compressed already
            use_dictionary=False,  # no two are alike
            write_statistics=["index"],
        )

    def write(self, images: memoryview, labels: memoryview | None) -> None:
        """Append whole images."""
        if labels is not None and self._labels is not None:
            self._labels.extend(labels)
        for pictures in self._png.encode(images):
            self._pictures.extend(pictures)
            while len(self._pictures) >= _ROWS:
                self._write_group(_ROWS)

    def finish(self) -> None:
        """Write the last images, and the directory of the table."""
        if self._pictures:
            self._write_group(len(self._pictures))
        self._writer.close()
        self._png.close()

    def abandon(self) -> None:
        """Let the writer do no more: with its directory, part of a table would pass for a whole."""
        self._png.close()
        self._writer.is_open = False
        self._output.close()

    def _write_group(self, rows: int) -> None:
        import pyarrow as pa

        indices = range(self._index, self._index + rows)
        columns = [
            pa.StructArray.from_arrays(
                [
                    pa.array(self._pictures[:rows], pa.binary()),
                    pa.array([f"{index:06d}.png" for index in indices], pa.string()),
                ],
                fields=list(self._schema.field("image").type),
            ),
            pa.array(indices, pa.uint64()),
        ]
        del self._pictures[:rows]
        if self._labels is not None:
            columns.append(pa.array(self._labels[:rows], pa.int64()))
            del self._labels[:rows]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=self._schema))
        self._index += rows


def _schema(*, labels: bool) -> Any:
    import json

    import pyarrow as pa

    fields = [
        pa.field("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        pa.field("index", pa.uint64()),
    ]
    features: dict[str, dict[str, object]] = {
        "image": {"_type": "Image"},
        "index": {"_type": "Value", "dtype": "uint64"},
    }
    if labels:
        fields.append(pa.field("label", pa.int64()))
        features["label"] = {"_type": "ClassLabel", "names": [str(digit) for digit in range(10)]}
    told = json.dumps({"info": {"features": features}})
    return pa.schema(fields, metadata={"huggingface": told})


PARQUET = Format(
    name="parquet",
    extension=".parquet",
    what="Parquet, as Hugging Face datasets read it",
    open=ParquetWriter,
    labels=True,
    least_share=1 / 32,
    package=("pyarrow", "parquet"),
)
