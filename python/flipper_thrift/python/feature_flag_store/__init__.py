__all__ = ['ttypes', 'constants', 'FeatureFlagStore']
