//! Rules, variants, prerequisites, schedules and segments.

use super::{Checks, FeatureFlag, FeatureFlagClient};
use crate::context::Attributes;
use crate::error::{Error, ErrorKind, Result};
use crate::evaluation::FlagValue;
use crate::events::Verb;
use crate::record::{FlagRecord, validate_new_name};
use crate::state::{Precondition, Stored};
use crate::table::{Slot, SlotHandle, State};
use crate::targeting::{Prerequisite, Rule, Schedule, Variants, When, seconds, stored_name};

impl<M> FeatureFlagClient<M> {
    /// The value of the flag's variant for these attributes, read as the type of the default. The default is returned if the flag is missing,
    /// unreadable, has no variants, is off without a variant for that, or if the value has another type; see [`FlagValue`].
    ///
    /// A check with a boolean, a number or a `&str` allocates nothing. A test that overrides the flag with `false` gets the default.
    ///
    /// ```
    /// use flipper::targeting::{Variant, Variants};
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
    ///
    /// # futures_executor::block_on(async {
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// features.create("BUTTON").enabled(true).await?;
    /// let variants = Variants::new("user_id").with(Variant::new("red", 50.0)).with(Variant::new("blue", 50.0));
    /// features.set_variants("BUTTON", variants).await?;
    ///
    /// let colour = features.variant("BUTTON", &context! { user_id: 7 }, "grey");
    /// assert!(colour == "red" || colour == "blue");
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    #[inline]
    pub fn variant<V: FlagValue>(&self, name: &str, context: &(impl Attributes + ?Sized), default: V) -> V::Value
    where
        M: Checks,
    {
        if self.overridden(name) == Some(false) {
            return default.or_default();
        }
        let slot = self.table().slot(name);
        let read = slot.and_then(|slot| self.variant_of::<V, _>(name, &slot, context));
        read.unwrap_or_else(|| default.or_default())
    }
}

impl<M> FeatureFlagClient<M> {
    #[inline]
    pub(super) fn variant_of<T: FlagValue<Value = V>, V>(
        &self,
        name: &str,
        slot: &Slot,
        context: &(impl Attributes + ?Sized),
    ) -> Option<V> {
        let entry = slot.entry();
        match entry.as_ref().map(|entry| &entry.state) {
            Some(State::Present { plan, .. }) => plan.variant(name, context, &self.core.environment).and_then(T::read),
            Some(State::Absent | State::Corrupt(_)) | None => None,
        }
    }

    /// The segments, ordered by name.
    #[must_use]
    pub fn segments(&self) -> Vec<(String, When)>
    where
        M: Checks,
    {
        let slots = self.table().slots();
        let mut segments: Vec<_> = slots
            .filter_map(|slot| {
                let entry = slot.entry();
                let State::Present { record, .. } = &entry.as_ref()?.state else { return None };
                let segment = crate::targeting::segment_of(slot.name())?;
                Some((segment.to_owned(), record.whole()?.segment()?.clone()))
            })
            .collect();
        segments.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        segments
    }
}

impl<M: Clone + Send + Sync + 'static> FeatureFlagClient<M> {
    /// Replaces the flag's rules. **The Python library does not have them**: it finds the flag off, and drops the rules when it writes it.
    ///
    /// ```
    /// use flipper::targeting::{Rule, Serve, When};
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore, context};
    ///
    /// # futures_executor::block_on(async {
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// features.create("CHECKOUT").enabled(true).await?;
    /// let staff: When = r#"email ends with "@corp.com""#.parse()?;
    /// features.set_rules("CHECKOUT", [Rule::new(Serve::On).when(staff), Rule::new(Serve::share(0.05, "user_id"))]).await?;
    /// assert!(features.is_enabled_with("CHECKOUT", &context! { email: "a@corp.com" }));
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for a variant or a segment that does not exist.
    pub async fn set_rules(&self, name: &str, rules: impl IntoIterator<Item = Rule>) -> Result<()> {
        let rules: Vec<_> = rules.into_iter().collect();
        self.change(name, move |record| {
            record.set_rules(rules.clone());
            Ok(Verb::Update)
        })
        .await
    }

    /// Adds a rule after the others.
    ///
    /// # Errors
    ///
    /// As [`set_rules`](Self::set_rules).
    pub async fn add_rule(&self, name: &str, rule: Rule) -> Result<()> {
        self.change(name, move |record| {
            record.set_rules(record.rules().iter().cloned().chain([rule.clone()]).collect());
            Ok(Verb::Update)
        })
        .await
    }

    /// Sets the flag's variants. Where it had some, as few callers change theirs as the weights allow.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for weights that do not add up, or values of several types.
    pub async fn set_variants(&self, name: &str, variants: impl Into<Option<Variants>> + Send) -> Result<()> {
        let variants = variants.into();
        self.change(name, move |record| {
            record.set_variants(variants.clone());
            Ok(Verb::Update)
        })
        .await
    }

    /// Sets the flags that must be on for this one to be.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for a flag that does not exist, and for flags that would need each other in a circle.
    pub async fn set_prerequisites(
        &self,
        name: &str,
        prerequisites: impl IntoIterator<Item = Prerequisite>,
    ) -> Result<()> {
        let prerequisites: Vec<_> = prerequisites.into_iter().collect();
        self.change(name, move |record| {
            record.set_prerequisites(prerequisites.clone());
            Ok(Verb::Update)
        })
        .await
    }

    /// Sets the flag's schedule. With a start or steps it also enables the flag: then the schedule says when it is on. `None` removes it; a
    /// flag that it keeps off is then disabled.
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for times that have passed or are out of order.
    pub async fn set_schedule(&self, name: &str, schedule: impl Into<Option<Schedule>> + Send) -> Result<()> {
        let schedule = schedule.into();
        let now = self.core.environment.clock.now();
        self.change(name, move |record| {
            if let Some(schedule) = &schedule {
                schedule.check_new(record.schedule(), now)?;
                if schedule.enable_at.is_some() || !schedule.steps.is_empty() {
                    record.set_enabled(true);
                }
            }
            match &schedule {
                Some(_) => record.set_schedule(schedule.clone()),
                None => record.clear_schedule(seconds(now)),
            }
            Ok(Verb::Update)
        })
        .await
    }

    /// Creates or replaces a segment: attributes that any rule may name by `in segment NAME`. Its changes show at once in each flag.
    ///
    /// ```
    /// use flipper::targeting::When;
    /// use flipper::{FeatureFlagClient, MemoryFeatureFlagStore};
    ///
    /// # futures_executor::block_on(async {
    /// let features = FeatureFlagClient::new(MemoryFeatureFlagStore::new());
    /// features.set_segment("beta", "plan = pro and country in de, fr".parse::<When>()?).await?;
    /// assert_eq!(features.segments()[0].0, "beta");
    /// # Ok::<(), flipper::Error>(()) }).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// As [`enable`](Self::enable), and `InvalidInput` for a segment that would need itself.
    pub async fn set_segment(&self, segment: &str, when: impl Into<When> + Send) -> Result<()> {
        validate_new_name(segment)?;
        let (name, when) = (stored_name(segment), when.into());
        loop {
            let change = |record: &mut FlagRecord| {
                record.set_segment(Some(when.clone()));
                Ok(Verb::Update)
            };
            match self.change(&name, change).await {
                Err(error) if error.kind() == ErrorKind::FlagNotFound => {}
                done => return done,
            }
            let mut record = FlagRecord::new(&*name, self.now());
            record.set_segment(Some(when.clone()));
            record.validate()?;
            self.check_links(&record, None).await?;
            match self.put(&record, Precondition::Absent).await {
                // Another process has created it in between.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::FlagExists) => {}
                put => return put.map(drop),
            }
        }
    }

    /// Deletes a segment. Rules that name it do not hold any more, unless another part of them decides; so also under `not`.
    ///
    /// # Errors
    ///
    /// As [`destroy`](Self::destroy).
    pub async fn delete_segment(&self, segment: &str) -> Result<()> {
        let name = stored_name(segment);
        let delete = |stored: &Stored| match &stored.record {
            Ok(record) if record.segment().is_none() => Err(self.not_found(&name)),
            _ => Ok((Verb::Destroy, None)),
        };
        self.write(&name, delete).await.map_err(|error| match error.kind() {
            ErrorKind::FlagNotFound => Error::new(ErrorKind::FlagNotFound)
                .with_message(format!("there is no segment {segment:?}"))
                .with_store(&self.core.store),
            _ => error,
        })
    }
}

impl<M> FeatureFlag<M> {
    /// The value of the flag's variant for these attributes; see [`FeatureFlagClient::variant`].
    #[inline]
    pub fn variant<V: FlagValue>(&self, context: &(impl Attributes + ?Sized), default: V) -> V::Value
    where
        M: Checks,
    {
        if self.client().overridden(self.name()) == Some(false) {
            return default.or_default();
        }
        let slot: Option<&SlotHandle> = self.slot();
        let read = slot.and_then(|slot| self.client().variant_of::<V, _>(self.name(), slot, context));
        read.unwrap_or_else(|| default.or_default())
    }
}
