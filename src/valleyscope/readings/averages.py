"""What averaging weights changes: held-out quality, training loss and curvature against what was averaged.

Table: averages, see results/README.md.
"""

import pandas as pd

QUANTITIES = ["accuracy", "scaled_loss", "held_out_loss", "train_loss", "trace"]
ENDS = ["end 0", "end 1"]


def differences(averages: pd.DataFrame) -> pd.DataFrame:
    """Each average minus what it averages: source, repeat, branch, point and those of QUANTITIES.

    Of a path's interior and of a middle of children: minus the mean of the two ends. Of SWA: minus the last
    weights.
    """
    keys = ["source", "repeat", "branch"]
    table = averages.assign(
        branch=averages["branch"].astype(float).fillna(-1), point=averages["point"].astype(str)
    )
    base = table[table["point"].isin([*ENDS, "last"])].groupby(keys)[QUANTITIES].mean()
    rest = table[~table["point"].isin([*ENDS, "last"])].set_index([*keys, "point"])[QUANTITIES]
    gap = rest - base.reindex(rest.index.droplevel("point")).to_numpy()
    return gap.reset_index()
