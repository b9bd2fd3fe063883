"""The parts of this family are plain modules, so that campaign.py uses them without pytest."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
