use flipper::__openfeature::split;
use flipper::json::Json;
use flipper::store::Health;
use flipper::targeting::{Variants, segment_of};
use flipper::{ErrorKind, FeatureFlagClient, Scope};
use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue, async_trait,
};

use crate::context::{TARGETING_KEY, attributes};
use crate::reason::{Resolved, resolve};
use crate::value;

/// Answers OpenFeature from Flipper's flags in memory; see the [crate](crate).
///
/// Setting the provider does not wait for the store's flags; if needed, wait first:
///
/// ```
/// # use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
/// use flipper_openfeature::FlipperProvider;
/// use open_feature::OpenFeature;
///
/// # futures_executor::block_on(async {
/// # let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
/// features.ready().await?; // with a timeout, if the program should start without its flags
/// OpenFeature::singleton_mut().await.set_provider(FlipperProvider::new(&features)).await;
/// # Ok::<(), flipper::Error>(()) }).unwrap();
/// ```
#[derive(Clone, Debug)]
pub struct FlipperProvider {
    features: FeatureFlagClient,
    metadata: ProviderMetadata,
    targeting_key: String,
}

impl FlipperProvider {
    /// A provider of these flags.
    #[must_use]
    pub fn new(features: &FeatureFlagClient) -> Self {
        Self {
            features: features.clone(),
            metadata: ProviderMetadata::new("flipper"),
            targeting_key: TARGETING_KEY.to_owned(),
        }
    }

    /// The targeting key's attribute in conditions and bucketers, such as `user_id`.
    #[must_use]
    pub fn targeting_key_as(mut self, attribute: impl Into<String>) -> Self {
        self.targeting_key = attribute.into();
        self
    }

    /// Whether there is a flag of this name: not a segment, which is stored beside the flags.
    fn has_flag(&self, name: &str) -> bool {
        let is_segment = || self.features.record(name).is_ok_and(|record| record.segment().is_some());
        self.features.exists(name) && (segment_of(name).is_none() || !is_segment())
    }

    fn resolve(&self, name: &str, context: &EvaluationContext) -> EvaluationResult<(Scope, Resolved)> {
        let scope = self.features.scope(attributes(context, &self.targeting_key)?);
        let resolved = resolve(&scope, name)?;
        Ok((scope, resolved))
    }

    /// As a type that `convert` supports.
    fn value<T>(
        &self,
        flag_key: &str,
        key_of_whole: Option<&str>,
        context: &EvaluationContext,
        convert: impl FnOnce(&Json) -> Result<T, String>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let (name, path) = split(flag_key, |name| self.has_flag(name));
        let (scope, resolved) = self.resolve(name, context)?;
        if path.is_none()
            && let Some(variants) = resolved.variants()
        {
            let Some(chosen) = &resolved.chosen else { return Err(resolved.no_variant(name, variants)) };
            return match convert(chosen.value()) {
                Ok(value) => Ok(resolved.details(value)),
                Err(what) => {
                    let message = format!("flag {name:?}: its variant {:?} is {what}", chosen.name());
                    Err(error(EvaluationErrorCode::TypeMismatch, message))
                }
            };
        }
        // The values of the client data are the flag's, whatever its variant.
        let (path, resolved) = (path.or(key_of_whole), resolved.without_variant());
        if !resolved.enabled {
            let message = format!("flag {name:?} is off: {}", resolved.explanation);
            return Err(error(EvaluationErrorCode::General("FLAG_OFF".into()), message));
        }
        let data = scope.client_data(name).map_err(|failure| {
            let code = match failure.kind() {
                ErrorKind::FlagNotFound => EvaluationErrorCode::FlagNotFound,
                _ => EvaluationErrorCode::ParseError,
            };
            error(code, failure.to_string())
        })?;
        let found = path.map_or(Ok(&data), |path| value::at(&data, path));
        let found = found.and_then(|value| convert(value).map_err(|what| format!("its client data have {what}")));
        match found {
            Ok(value) => Ok(resolved.details(value)),
            Err(what) => Err(error(EvaluationErrorCode::TypeMismatch, format!("flag {name:?}: {what}"))),
        }
    }
}

fn has_booleans(variants: &Variants) -> bool {
    variants.values.iter().all(|variant| variant.value.as_bool().is_some())
}

const VALUE: Option<&str> = Some("value");

#[async_trait]
impl FeatureProvider for FlipperProvider {
    fn status(&self) -> ProviderStatus {
        let status = self.features.status();
        match status.health {
            Health::Live => ProviderStatus::Ready,
            _ if status.last_sync.is_some() => ProviderStatus::STALE,
            _ => ProviderStatus::NotReady,
        }
    }

    fn metadata(&self) -> &ProviderMetadata {
        &self.metadata
    }

    async fn resolve_bool_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<bool>> {
        let (_, resolved) = self.resolve(flag_key, context)?;
        // Of other variants a boolean is the flag's answer, as without them.
        match resolved.variants().filter(|variants| has_booleans(variants)) {
            None => {
                let enabled = resolved.enabled;
                Ok(resolved.without_variant().details(enabled))
            }
            Some(variants) => match resolved.chosen.as_ref().and_then(|chosen| chosen.value().as_bool()) {
                Some(value) => Ok(resolved.details(value)),
                None => Err(resolved.no_variant(flag_key, variants)),
            },
        }
    }

    async fn resolve_int_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<i64>> {
        self.value(flag_key, VALUE, context, value::int)
    }

    async fn resolve_float_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<f64>> {
        self.value(flag_key, VALUE, context, value::float)
    }

    async fn resolve_string_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<String>> {
        self.value(flag_key, VALUE, context, value::string)
    }

    async fn resolve_struct_value(
        &self,
        flag_key: &str,
        context: &EvaluationContext,
    ) -> EvaluationResult<ResolutionDetails<StructValue>> {
        self.value(flag_key, None, context, value::structure)
    }
}

pub(crate) fn error(code: EvaluationErrorCode, message: impl Into<String>) -> EvaluationError {
    EvaluationError { code, message: Some(message.into()) }
}
