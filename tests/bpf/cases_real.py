# SPDX-License-Identifier: Apache-2.0
"""Programs we did not write."""
