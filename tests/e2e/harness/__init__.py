# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests and scripts/quickstart run davit with: a private broker and registry,
images, a scripted MQTT peer with strict rules, and a gateway (davit-monitor and davitd)."""
