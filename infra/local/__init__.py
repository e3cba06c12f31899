"""Running everreel on one machine: bootstrap, local engine, deployer and demo."""
