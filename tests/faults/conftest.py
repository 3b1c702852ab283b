import pytest


def pytest_addoption(parser):
    parser.addoption("--write-page", action="store_true", help="write the matrix into docs/reliability.md")


@pytest.fixture
def write_page(request) -> bool:
    """Whether the page is to be written; false where this folder was not named on the command line."""
    return request.config.getoption("--write-page", default=False)
