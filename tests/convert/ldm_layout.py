"""Names and shapes of the tensors in a checkpoint of CompVis' latent diffusion, by its sizes.

They are written down from the architecture's description, not taken from any converter.
"""

from collections.abc import Iterator

Shapes = Iterator[tuple[str, tuple[int, ...]]]
MULTIPLIERS = (1, 2, 4, 4)
ATTENDED = 3  # levels with attention


def unet_shapes(base: int, context: int, in_channels: int = 8, out_channels: int = 4) -> Shapes:
    widths, time = [base * m for m in MULTIPLIERS], 4 * base
    yield from _layer("time_embed.0", time, base)
    yield from _layer("time_embed.2", time, time)
    yield from _layer("input_blocks.0.0", base, in_channels, 3, 3)
    skips, width, block = [base], base, 0
    for level, wide in enumerate(widths):
        for _ in range(2):
            block += 1
            yield from _residual(f"input_blocks.{block}.0", width, wide, time)
            width = wide
            if level < ATTENDED:
                yield from _transformer(f"input_blocks.{block}.1", width, context)
            skips.append(width)
        if level < 3:
            block += 1
            yield from _layer(f"input_blocks.{block}.0.op", width, width, 3, 3)
            skips.append(width)
    yield from _residual("middle_block.0", width, width, time)
    yield from _transformer("middle_block.1", width, context)
    yield from _residual("middle_block.2", width, width, time)
    for block in range(12):
        level = 3 - block // 3
        yield from _residual(f"output_blocks.{block}.0", width + skips.pop(), widths[level], time)
        width = widths[level]
        if level < ATTENDED:
            yield from _transformer(f"output_blocks.{block}.1", width, context)
        if block % 3 == 2 and level > 0:
            place = 2 if level < ATTENDED else 1
            yield from _layer(f"output_blocks.{block}.{place}.conv", width, width, 3, 3)
    yield from _layer("out.0", width)
    yield from _layer("out.2", out_channels, width, 3, 3)


def vae_shapes(base: int, latents: int = 4) -> Shapes:
    widths = [base * m for m in MULTIPLIERS]
    yield from _layer("encoder.conv_in", base, 3, 3, 3)
    width = base
    for level, wide in enumerate(widths):
        for block in range(2):
            yield from _vae_block(f"encoder.down.{level}.block.{block}", width, wide)
            width = wide
        if level < 3:
            yield from _layer(f"encoder.down.{level}.downsample.conv", width, width, 3, 3)
    yield from _vae_end("encoder", width, width, 2 * latents)
    yield from _layer("quant_conv", 2 * latents, 2 * latents, 1, 1)
    yield from _layer("post_quant_conv", latents, latents, 1, 1)
    yield from _layer("decoder.conv_in", width, latents, 3, 3)
    for level in (3, 2, 1, 0):
        for block in range(3):
            yield from _vae_block(f"decoder.up.{level}.block.{block}", width, widths[level])
            width = widths[level]
        if level > 0:
            yield from _layer(f"decoder.up.{level}.upsample.conv", width, width, 3, 3)
    yield from _vae_end("decoder", widths[-1], width, 3)


def text_shapes(vocabulary: int, width: int, feed_forward: int, layers: int) -> Shapes:
    """CLIP's text model, as transformers names it."""
    yield "embeddings.token_embedding.weight", (vocabulary, width)
    yield "embeddings.position_embedding.weight", (77, width)
    for layer in range(layers):
        name = f"encoder.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            yield from _layer(f"{name}.self_attn.{part}", width, width)
        yield from _layer(f"{name}.layer_norm1", width)
        yield from _layer(f"{name}.layer_norm2", width)
        yield from _layer(f"{name}.mlp.fc1", feed_forward, width)
        yield from _layer(f"{name}.mlp.fc2", width, feed_forward)
    yield from _layer("final_layer_norm", width)


def conditioner_shapes(context: int, embeds: int, feed_forward: int) -> Shapes:
    yield from _layer("projection_img", context, embeds)
    yield from _layer("projection_txt", context, embeds)
    for layer in (0, 1):
        name = f"self_attn_mix.layers.{layer}"
        yield f"{name}.self_attn.in_proj_weight", (3 * context, context)
        yield f"{name}.self_attn.in_proj_bias", (3 * context,)
        yield from _layer(f"{name}.self_attn.out_proj", context, context)
        yield from _layer(f"{name}.linear1", feed_forward, context)
        yield from _layer(f"{name}.linear2", context, feed_forward)
        yield from _layer(f"{name}.norm1", context)
        yield from _layer(f"{name}.norm2", context)


def checkpoint_shapes(
    base: int = 320,
    vae: int = 128,
    context: int = 768,
    embeds: int = 5120,
    feed_forward: int = 2048,
    text: tuple[int, int, int] = (49408, 3072, 12),
) -> dict[str, tuple[int, ...]]:
    """A whole LEGO checkpoint, raw and averaged weights; by default at its full size.

    `text`: vocabulary, feed-forward width and layers of CLIP's text model.
    """
    vocabulary, text_feed_forward, layers = text
    unet = [(f"diffusion_model.{name}", shape) for name, shape in unet_shapes(base, context)]
    parts = (
        ("model.", unet),
        ("model_ema.", [(name.replace(".", ""), shape) for name, shape in unet]),
        ("first_stage_model.", vae_shapes(vae)),
        (
            "cond_stage_model.transformer.",
            text_shapes(vocabulary, context, text_feed_forward, layers),
        ),
        ("", conditioner_shapes(context, embeds, feed_forward)),
    )
    return {prefix + name: shape for prefix, part in parts for name, shape in part}


def _layer(name: str, outputs: int, *inputs: int) -> Shapes:
    yield f"{name}.weight", (outputs, *inputs)
    yield f"{name}.bias", (outputs,)


def _residual(name: str, width: int, wide: int, time: int) -> Shapes:
    yield from _layer(f"{name}.in_layers.0", width)
    yield from _layer(f"{name}.in_layers.2", wide, width, 3, 3)
    yield from _layer(f"{name}.emb_layers.1", wide, time)
    yield from _layer(f"{name}.out_layers.0", wide)
    yield from _layer(f"{name}.out_layers.3", wide, wide, 3, 3)
    if width != wide:
        yield from _layer(f"{name}.skip_connection", wide, width, 1, 1)


def _transformer(name: str, width: int, context: int) -> Shapes:
    yield from _layer(f"{name}.norm", width)
    yield from _layer(f"{name}.proj_in", width, width, 1, 1)
    block = f"{name}.transformer_blocks.0"
    for attention, inputs in (("attn1", width), ("attn2", context)):
        yield f"{block}.{attention}.to_q.weight", (width, width)
        yield f"{block}.{attention}.to_k.weight", (width, inputs)
        yield f"{block}.{attention}.to_v.weight", (width, inputs)
        yield from _layer(f"{block}.{attention}.to_out.0", width, width)
    yield from _layer(f"{block}.ff.net.0.proj", 8 * width, width)
    yield from _layer(f"{block}.ff.net.2", width, 4 * width)
    for norm in ("norm1", "norm2", "norm3"):
        yield from _layer(f"{block}.{norm}", width)
    yield from _layer(f"{name}.proj_out", width, width, 1, 1)


def _vae_block(name: str, width: int, wide: int) -> Shapes:
    yield from _layer(f"{name}.norm1", width)
    yield from _layer(f"{name}.conv1", wide, width, 3, 3)
    yield from _layer(f"{name}.norm2", wide)
    yield from _layer(f"{name}.conv2", wide, wide, 3, 3)
    if width != wide:
        yield from _layer(f"{name}.nin_shortcut", wide, width, 1, 1)


def _vae_end(name: str, middle: int, width: int, outputs: int) -> Shapes:
    yield from _vae_block(f"{name}.mid.block_1", middle, middle)
    yield from _layer(f"{name}.mid.attn_1.norm", middle)
    for part in ("q", "k", "v", "proj_out"):
        yield from _layer(f"{name}.mid.attn_1.{part}", middle, middle, 1, 1)
    yield from _vae_block(f"{name}.mid.block_2", middle, middle)
    yield from _layer(f"{name}.norm_out", width)
    yield from _layer(f"{name}.conv_out", outputs, width, 3, 3)
