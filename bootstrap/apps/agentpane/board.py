"""The kanban board: tasks in columns, each at its position."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import orm

from bootstrap.apps.agentpane import enums, models
from bootstrap.apps.agentpane.repositories import Rows

Task = models.Task
# Rows made elsewhere may share a position.
_IN_ORDER = (Task.position, Task.created_at, Task.id)


class Tasks(Rows[models.Task]):
    """Tasks. In a column that a task was moved in or out of, positions are 0, 1, 2 and so on."""

    model = models.Task

    def create(self, values: Mapping[str, Any]) -> models.Task:
        """Insert a task and give it back whole; without a position it comes last in its column."""
        named = self._named(values)

        def work(session: orm.Session) -> models.Task:
            task = Task(**{"column": "backlog", **named})
            if "position" not in named:
                _lock_board(session, task.project_id)
                task.position = len(_ids(session, task.project_id, task.column))
            session.add(task)
            session.flush()
            session.refresh(task)
            return task

        return self.client.transaction(work)

    def board(self, project_id: str) -> dict[enums.TaskColumn, list[models.Task]]:
        """All columns of a project's board, each with its tasks in order."""
        page = sa.select(Task).where(Task.project_id == project_id).order_by(*_IN_ORDER)
        board: dict[enums.TaskColumn, list[models.Task]] = {name: [] for name in enums.TASK_COLUMNS}
        for task in self.client.read(lambda session: list(session.scalars(page))):
            # A later version may have columns that this one does not know.
            board.setdefault(task.column, []).append(task)
        return board

    def move(
        self, id_: str, column: enums.TaskColumn, position: int | None = None
    ) -> models.Task | None:
        """Drag a task to a column, to `position` there or to its end; the others make room.

        None where the id is unknown.
        """

        def work(session: orm.Session) -> models.Task | None:
            task = session.get(Task, id_)
            if task is None:
                return None
            _lock_board(session, task.project_id)
            task = session.get(Task, id_, populate_existing=True)
            if task is None:
                return None
            left, task.column = task.column, column
            before = [other for other in _ids(session, task.project_id, column) if other != id_]
            place = len(before) if position is None else max(0, min(position, len(before)))
            task.position = place
            session.flush()
            self._number(session, [*before[:place], id_, *before[place:]])
            if left != column:
                self._number(session, _ids(session, task.project_id, left))
            session.refresh(task)
            return task

        return self.client.transaction(work)

    def _number(self, session: orm.Session, ids: Sequence[str]) -> None:
        """Number the tasks of a column. To have made room is no change of a task."""
        table = self.table
        for position, id_ in enumerate(ids):
            session.execute(
                sa.update(table)
                .where(table.c.id == id_, table.c.position != position)
                .values(position=position, updated_at=table.c.updated_at)
            )


def _lock_board(session: orm.Session, project_id: str) -> None:
    """Until the end of the transaction nobody else moves a task of this project."""
    project = sa.select(models.Project.id).where(models.Project.id == project_id)
    session.execute(project.with_for_update(key_share=True))


def _ids(session: orm.Session, project_id: str, column: str) -> list[str]:
    tasks = sa.select(Task.id).where(Task.project_id == project_id, Task.column == column)
    return list(session.scalars(tasks.order_by(*_IN_ORDER)))
