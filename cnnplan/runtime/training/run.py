"""One training, from data and recipe to a folder with weights, tables and pictures.

DIR/checkpoints/last.ckpt   to go on from        DIR/model.safetensors   the best weights
DIR/spec.yaml, model.py     what was trained     DIR/metrics.csv, tensorboard/, curves.png, confusion.png, summary.json
"""

from __future__ import annotations

import shutil
import warnings
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from cnnplan.diagnostics import printable
from cnnplan.emit import emit
from cnnplan.errors import UsageError
from cnnplan.fitting import machine_memory
from cnnplan.runtime.build import build
from cnnplan.runtime.files import NotWritten, swept
from cnnplan.runtime.training import artifact
from cnnplan.runtime.training.augment import Augment, mixup_of
from cnnplan.runtime.training.average import Average
from cnnplan.runtime.training.diagnosis import (
    is_about_processes,
    is_out_of_memory,
    out_of_memory,
    where_not_finite,
)
from cnnplan.runtime.training.files import Checkpoints
from cnnplan.runtime.training.history import History
from cnnplan.runtime.training.interrupts import Interrupts
from cnnplan.runtime.training.module import Diverged, Trainee
from cnnplan.runtime.training.objective import Objective
from cnnplan.runtime.training.order import InTurn, Order, loader, seeded
from cnnplan.runtime.training.prepare import Prepare, statistics
from cnnplan.runtime.training.ranks import first
from cnnplan.runtime.training.records import Records
from cnnplan.runtime.training.reduction import InPlaces
from cnnplan.runtime.training.resuming import Marks, restored

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lightning.pytorch.callbacks import Callback
    from torch import Tensor, nn

    from cnnplan.planning import Plan
    from cnnplan.runtime.data.base import Data
    from cnnplan.runtime.training.order import Loader
    from cnnplan.runtime.training.recipe import Recipe
    from cnnplan.runtime.training.resuming import Restored

PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
CHECKPOINT = Path("checkpoints") / "last.ckpt"


class Options(NamedTuple):
    """Where and how a training runs.

    Attributes:
        output: the folder.
        seed: of weights, splits, order, augmentation.
        device: "cpu" or "cuda".
        devices, nodes: how many on each machine, and machines.
        strategy: "auto", "ddp" or "fsdp".
        resume: go on from the folder's checkpoint.
        weights: a checkpoint to start from.
        compiled: through torch.compile.
        workers: processes that fetch data.
        minutes: between checkpoints within an epoch.
        threads: of a CPU that compute; None leaves torch's own number.
        spec_options: of the command line, that make the spec what it is.
    """

    output: Path
    seed: int = 0
    device: str = "cpu"
    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"
    resume: bool = False
    weights: Path | None = None
    compiled: bool = False
    workers: int = 0
    minutes: float = 15.0
    threads: int | None = None
    spec_options: str = ""


class Stopped(UsageError):
    """A training that cannot go on, with what to do."""


class Run:
    """One training.

    Args:
        plan: under the conditions of the training.
        printers: callbacks that show what happens.
        note: takes what the user should read.
    """

    def __init__(
        self,
        plan: Plan,
        recipe: Recipe,
        data: Data,
        options: Options,
        printers: tuple[Callback, ...] = (),
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.plan, self.recipe, self.data, self.options = plan, recipe, data, options
        self.printers, self.note = printers, note
        self.world = options.devices * options.nodes
        self.source = emit(plan.graph)
        self.objective = Objective(plan.graph, recipe.losses, data.targets)
        main = self.objective.main
        self.classes = main.classes if main.exclusive else len(data.classes) if main.classes > 1 else 0
        self.marks = Marks(
            architecture=sha256(self.source.text.encode()).hexdigest(),
            recipe=recipe.as_dict(),
            seed=options.seed,
            data=data.fingerprint,
            processes=self.world,
        )

    @property
    def checkpoint(self) -> Path:
        """To go on from."""
        return self.options.output / CHECKPOINT

    # ---------------------------------------------------------------- building

    def net(self) -> nn.Module:
        """The network with its first weights, which the seed tells."""
        torch.manual_seed(seeded(self.options.seed, -1))
        model = build(self.plan.graph)
        if self.options.weights is not None and not self.options.resume:
            state, _ = artifact.load(self.options.weights)
            for line in artifact.into(model, self.plan, state, self.options.weights, strict=False):
                self.note(line)
        return model

    def trainee(self, net: nn.Module, mean: Any, std: Any) -> Trainee:
        """The network as Lightning trains it."""
        images = [one for one in self.recipe.augment if one.name != "mixup"]
        augment = Augment(images, self.plan.graph.inputs[0].shape) if images else None
        on_cuda = self.options.device == "cuda"
        prepare = Prepare(self.plan.graph, mean, std, augment, channels_last=on_cuda)
        if on_cuda and any(len(value.shape.spatial) == 2 for value in self.plan.graph.inputs):
            net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        mixup = mixup_of(self.recipe.augment)
        return Trainee(
            net,
            self.recipe,
            self.objective,
            prepare,
            self.options.seed,
            self.steps,
            self.classes,
            mixup,
            compiled=self.options.compiled,
        )

    @property
    def steps(self) -> int:
        """Steps in an epoch."""
        return max(1, len(Order(len(self.data.train), self.recipe.batch, 0, 0, self.world, lambda: (0, 0))))

    def loaders(self, rank: int, position: Callable[[], tuple[int, int]]) -> tuple[Loader, Loader]:
        """For training and validation."""
        it, data = self.options, self.data
        assert data.val is not None
        order = Order(len(data.train), self.recipe.batch, it.seed, rank, self.world, position)
        in_turn = InTurn(len(data.val), self.recipe.batch, rank, self.world)
        pinned = it.device == "cuda"
        return loader(data.train, order, it.workers, pinned=pinned), loader(
            data.val, in_turn, it.workers, pinned=pinned
        )

    def strategy(self) -> Any:
        """Lightning's, for several processes."""
        it = self.options
        if it.strategy == "fsdp":
            return ModelParallelStrategy(
                data_parallel_size=self.world, tensor_parallel_size=1, save_distributed_checkpoint=False
            )
        if self.world > 1 or it.strategy == "ddp":
            unused = len(self.recipe.losses) < len(self.plan.graph.outputs)
            kind = InPlaces if it.device == "cpu" else DDPStrategy
            return kind(find_unused_parameters=unused)
        return "auto"

    def trainer(self, callbacks: list[Callback]) -> Trainer:
        """Lightning's, without what it prints and writes by itself."""
        it = self.options
        return Trainer(
            accelerator=it.device,
            devices=it.devices,
            num_nodes=it.nodes,
            strategy=self.strategy(),
            precision=PRECISIONS[self.recipe.precision],  # type: ignore[arg-type]
            max_epochs=self.recipe.epochs,
            gradient_clip_val=self.recipe.clip_gradient,
            callbacks=callbacks,
            plugins=[Checkpoints()],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            benchmark=it.device == "cuda",
            default_root_dir=it.output,
        )

    # ---------------------------------------------------------------- training

    def train(self) -> dict[str, Any] | None:
        """Train, test with the best weights, and write the summary, which is returned; None in other processes.

        Raises:
            UsageError: it cannot begin, or cannot go on; the message says what is left and what to do.
            Interrupted: the user asked for an end; a checkpoint was written.
        """
        state = restored(self.checkpoint, self.marks, self.recipe.epochs) if self.options.resume else None
        net = self.net()
        if first():
            self._prepare_folder()
        if state is None:
            mean, std = statistics(self.data.train, self.plan.graph)
        else:
            mean, std = state.mean, state.std
            self.note(state.where(self.steps))
        threads = torch.get_num_threads()
        if (wanted := self.options.threads if state is None else state.threads) is not None:
            torch.set_num_threads(wanted)
        try:
            return self._train(state, net, mean, std)
        finally:
            torch.set_num_threads(threads)

    def _train(self, state: Restored | None, net: nn.Module, mean: Any, std: Any) -> dict[str, Any] | None:
        marks = self.marks.as_dict() | {"mean": mean, "std": std, "threads": torch.get_num_threads()}
        trained = artifact.Trained(
            classes=self.data.classes,
            mean=mean,
            std=std,
            network=self.plan.name,
            loss=next(iter(self.recipe.losses.values())).name,
            inputs=tuple(tuple(value.shape) for value in self.plan.graph.inputs),
            options=self.options.spec_options,
        )
        records = Records(self.options.output, self.printers) if first() else None
        average = Average(self.recipe.ema) if self.recipe.ema else None

        def improved(weights: Mapping[str, Tensor]) -> None:
            if first():
                artifact.save(self.options.output / "model.safetensors", weights, trained)

        history = History(
            self.recipe.patience,
            average,
            improved,
            lambda trainer: trainer.save_checkpoint(self.checkpoint),
            records.told if records else lambda rows, best: None,
            self.options.minutes,
            marks,
        )
        interrupts = Interrupts(lambda trainer: trainer.save_checkpoint(self.checkpoint))
        averages = [average] if average else []
        trainer = self.trainer([*averages, *self.printers, history, interrupts])
        if state is not None and records:
            records.replayed(state.rows)
        if state is None or not state.done:
            interrupts.listen()
            try:
                self._fit(trainer, self.trainee(net, mean, std), state is not None)
            finally:
                interrupts.released()
        else:
            history.rows, history.best = state.rows, state.best
        rows, best = history.rows, history.best
        if self.recipe.patience and best and len(rows) - best >= self.recipe.patience:
            self.note(f"stopped early: no epoch since {best} was better")
        return records.finished(self, history, trained) if records else None

    def _fit(self, trainer: Trainer, module: Trainee, resumed: bool) -> None:
        loops = trainer.fit_loop

        def position() -> tuple[int, int]:
            done = loops.epoch_loop.batch_progress.current.ready if loops.restarting else 0
            return trainer.current_epoch, done % self.steps

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trainer.fit(
                    module,
                    *self.loaders(trainer.global_rank, position),
                    ckpt_path=str(self.checkpoint) if resumed else None,
                )
        except Diverged as error:
            where = where_not_finite(self.plan, module.net, error.inputs, self.recipe.precision)
            raise Stopped(
                f"the loss is {error.loss} in epoch {trainer.current_epoch + 1}, "
                f"step {trainer.fit_loop.epoch_loop.batch_idx + 1} of {self.steps}: {where}; a smaller --lr "
                f"(it is {self.recipe.lr:g}) or `clip_gradient` may help{self._kept()}"
            ) from None
        except NotWritten as error:
            raise Stopped(f"{error}{self._kept()}") from None
        except OSError as error:
            name = printable(str(error.filename)) if error.filename else "a file"
            raise Stopped(f"{name}: {(error.strerror or str(error)).lower()}{self._kept()}") from None
        except Exception as error:
            if self.world > 1 and isinstance(error, RuntimeError) and is_about_processes(error):
                raise Stopped(f"another process of this training was lost, or never came{self._kept()}") from None
            if not is_out_of_memory(error):
                raise
            raise Stopped(f"{self.short_of_memory()}{self._kept()}") from None

    def short_of_memory(self) -> str:
        """What is said where the memory, the device's or the machine's, is not enough."""
        if self.options.device == "cuda":
            found = torch.cuda.get_device_properties(torch.cuda.current_device())
            return out_of_memory(self.plan, found.total_memory, found.name)
        return out_of_memory(self.plan, machine_memory(), "this machine")

    def _kept(self) -> str:
        """What is left of a training that stopped."""
        if not self.checkpoint.exists():
            return ""
        return f"\nthe last checkpoint is as it was: {self.checkpoint}; --resume goes on from it"

    def _prepare_folder(self) -> None:
        """The folder, and in it what is trained.

        Raises:
            UsageError: it cannot be written.
        """
        output = self.options.output
        try:
            (output / "checkpoints").mkdir(parents=True, exist_ok=True)
            swept(output)
            swept(output / "checkpoints")
            (output / "model.py").write_text(self.source.text, encoding="utf-8")
            asked = printable(self.options.spec_options)
            heading = f"# trained with{asked}\n" if asked else ""
            (output / "spec.yaml").write_text(heading + self.plan.spec.text, encoding="utf-8")
            if not self.options.resume:
                for name in ("metrics.csv", "summary.json", "model.safetensors", "curves.png", "confusion.png"):
                    (output / name).unlink(missing_ok=True)
                self.checkpoint.unlink(missing_ok=True)
            shutil.rmtree(output / "tensorboard", ignore_errors=True)
        except OSError as error:
            raise UsageError(f"cannot write {output}: {(error.strerror or str(error)).lower()}") from None
