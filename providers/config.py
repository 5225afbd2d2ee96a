"""The providers room's settings."""

from pathlib import Path

from pydantic import BaseModel, Field


class RoutesConfig(BaseModel):
    """By which ESPs, pools and domains mail leaves."""

    file: Path = Field(Path("routes.yaml"), description="which ESPs there are, and who sends by which; docs/routes.md")
