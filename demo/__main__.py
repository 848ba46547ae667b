"""Run the three acts and write the page."""

import argparse
import base64
import io
import time
from pathlib import Path
from string import Template

import matplotlib as mpl
import torch

from demo import map, series, table

_ACTS = {"table": table, "series": series, "map": map}


def main():
    parser = argparse.ArgumentParser(prog="python -m demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo.html"), help="the page")
    parser.add_argument("--pictures", type=Path, help="a folder for the pictures alone")
    args = parser.parse_args()
    mpl.use("Agg")
    torch.set_num_threads(1)  # networks this small gain nothing from more
    fields, begin = {}, time.perf_counter()
    for number, (name, act) in enumerate(_ACTS.items(), 1):
        print(f"{number}/{len(_ACTS)}  {act.__doc__}", end="", flush=True)
        start, image = time.perf_counter(), io.BytesIO()
        numbers, figure = act.run()
        figure.savefig(image, dpi=100)
        fields |= {f"{name}_{key}": value for key, value in numbers.items()}
        fields[f"{name}_picture"] = base64.b64encode(image.getvalue()).decode()
        if args.pictures:
            (args.pictures / f"{name}.png").write_bytes(image.getvalue())
        print(f"  {time.perf_counter() - start:.0f} s", flush=True)
    fields["seconds"] = f"{time.perf_counter() - begin:.0f}"
    page = Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))
    args.out.write_text(page.substitute(fields), encoding="utf-8")
    print(f"Open {args.out.resolve().as_uri()} in a browser.")


if __name__ == "__main__":
    main()
