"""The parts of contrib/hmcsim, a protocol-true simulator of an HMC's REST interface. See README.md in this folder."""
