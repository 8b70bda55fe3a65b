"""Where time and memory go: a network on the device that is here, beside its plan.

machine    the device's figures: its data sheet's, or measured
walk       a step layer by layer, which tells who looks on where it is
clock      marks moments; `stable` repeats until warm, and long enough
layers     the time of each layer's passes, and what measuring costs
memory     bytes alive over the step, planned and measured
reasons    why a layer takes its time
whole      samples a second, in other ways to run it, too
batches    larger and larger batches, until memory ends
profile    all of it
picture    the roofline and memory over the step as an image
"""
