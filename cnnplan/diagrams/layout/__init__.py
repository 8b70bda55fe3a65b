"""Where everything goes: a layered layout, top to bottom, without graphviz.

    ranks        in which row a unit is: below all that it reads
    rows         long edges get a place in each row they pass; the order within a row, with few crossings
    crossings    how many edges cross
    columns      x of each place, so that long edges are straight: Brandes & Köpf
    ends         where edges begin and end on a unit
    level        one level: units and links become places and routes
    frames       the frame of a group, and where its words are
    plot         all levels: a group is laid out by itself, and is a unit of the level around it

Source: Sugiyama, Tagawa & Toda 1981; Gansner et al. 1993; Brandes & Köpf 2002, doi:10.1007/3-540-45848-4_3.
"""
