use flipper::__openfeature::split;
use flipper::json::Json;
use flipper::store::Health;
use flipper::targeting::{Variants, segment_of};
use flipper::{ErrorKind, FeatureFlagClient};
use open_feature::provider::{FeatureProvider, ProviderMetadata, ProviderStatus, ResolutionDetails};
use open_feature::{
    EvaluationContext, EvaluationError, EvaluationErrorCode, EvaluationResult, StructValue, async_trait,
};

use crate::context::{TARGETING_KEY, with_attributes};
use crate::reason::{Resolved, of_plain};
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

    /// The answer, for `read`, in place.
    fn resolve<T>(
        &self,
        name: &str,
        context: &EvaluationContext,
        read: impl FnOnce(Resolved<'_>) -> EvaluationResult<T>,
    ) -> EvaluationResult<T> {
        with_attributes(context, &self.targeting_key, |attributes| {
            self.features.evaluate_in_place(name, attributes, |evaluation, record| {
                read(Resolved::of(&self.features, name, evaluation, record, attributes)?)
            })
        })
    }

    /// As a type that `convert` supports.
    fn value<T>(
        &self,
        flag_key: &str,
        key_of_whole: Option<&str>,
        context: &EvaluationContext,
        convert: impl FnOnce(&Json) -> Result<T, String>,
    ) -> EvaluationResult<ResolutionDetails<T>> {
        let mismatch = |message| error(EvaluationErrorCode::TypeMismatch, message);
        let (name, path) = split(flag_key, |name| self.has_flag(name));
        self.resolve(name, context, |resolved| {
            if path.is_none()
                && let Some(variants) = resolved.variants()
            {
                let Some(chosen) = resolved.chosen() else { return Err(resolved.no_variant(variants)) };
                return match convert(chosen.value()) {
                    Ok(value) => Ok(resolved.details(value, Some(chosen))),
                    Err(what) => Err(mismatch(format!("flag {name:?}: its variant {:?} is {what}", chosen.name()))),
                };
            }
            if !resolved.is_enabled() {
                return Err(resolved.off());
            }
            let Some(record) = resolved.record else { return Err(self.no_record(name)) };
            // The values of the client data are the flag's, whatever its variant.
            let (data, path) = (record.client_data(), path.or(key_of_whole));
            let found = path.map_or(Ok(data), |path| value::at(data, path));
            match found.and_then(|value| convert(value).map_err(|what| format!("its client data have {what}"))) {
                Ok(value) => Ok(resolved.details(value, None)),
                Err(what) => Err(mismatch(format!("flag {name:?}: {what}"))),
            }
        })
    }

    /// A test's override is on, and has no flag that can be read.
    fn no_record(&self, name: &str) -> EvaluationError {
        match self.features.record(name) {
            Err(failure) if failure.kind() != ErrorKind::FlagNotFound => {
                error(EvaluationErrorCode::ParseError, failure.to_string())
            }
            _ => error(EvaluationErrorCode::FlagNotFound, format!("there is no flag {name:?}")),
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
        if let Some(is_on) = self.features.plain_state(flag_key) {
            return Ok(of_plain(is_on));
        }
        self.resolve(flag_key, context, |resolved| {
            // Of other variants a boolean is the flag's answer, as without them.
            let Some(variants) = resolved.variants().filter(|variants| has_booleans(variants)) else {
                let enabled = resolved.is_enabled();
                return Ok(resolved.details(enabled, None));
            };
            let chosen = resolved.chosen().and_then(|chosen| Some((chosen, chosen.value().as_bool()?)));
            let Some((chosen, value)) = chosen else { return Err(resolved.no_variant(variants)) };
            Ok(resolved.details(value, Some(chosen)))
        })
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
