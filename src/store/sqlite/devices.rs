//! [`DeviceStore`] on SQLite.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, SqlStr, Sqlite};

use super::SqliteStore;
use super::batch::{Batch, Bound, Failed};
use super::steps::{self, MAX_PRUNED};
use crate::clock::UnixTime;
use crate::ids::GrantId;
use crate::store::sql::{self, DeviceRow, MAX_OTHERS, Names, WipeColumns};
use crate::store::{
    AdvanceWipe, Device, DeviceFilter, DeviceKey, DeviceSighting, DeviceStore, Listing, Page,
    Pruned, RequestWipe, SeeDevice, StoreError, WipeAdvance, WipeRequest,
};

impl DeviceStore for SqliteStore {
    async fn see_device(&self, sighting: &DeviceSighting) -> Result<SeeDevice, StoreError> {
        let sighting = sighting.clone();
        self.run(move |batch| see(batch, &sighting)).await
    }

    async fn find_device(&self, key: &DeviceKey) -> Result<Option<Device>, StoreError> {
        let find = of_key(&self.sql.find_device, &self.names, key);
        let row = find.fetch_optional(self.readers()?).await.map_err(StoreError::new)?;
        row.map(|row| device(&self.names, &row)).transpose().map(Option::flatten)
    }

    async fn find_device_of(&self, grant_id: &GrantId) -> Result<Option<Device>, StoreError> {
        let names = &self.names;
        let find = sqlx::query(self.sql.find_device_of.clone()).bind(&grant_id.as_bytes()[..]);
        let find = find.bind(names.floor()).bind(names.ceiling());
        let row = find.fetch_optional(self.readers()?).await.map_err(StoreError::new)?;
        row.map(|row| device(names, &row)).transpose().map(Option::flatten)
    }

    async fn list_devices(
        &self,
        filter: &DeviceFilter,
        page: Page<DeviceKey>,
    ) -> Result<Listing<Device, DeviceKey>, StoreError> {
        let (select, names) = (self.sql.list_devices.as_str(), &self.names);
        let mut text = sql::list_devices::<Sqlite>(select, names, filter, &page);
        // It is not kept prepared, because there are as many texts as filters.
        let rows = text.build().persistent(false).fetch_all(self.readers()?).await;
        let rows = rows.map_err(StoreError::new)?;
        let devices = rows.iter().filter_map(|row| device(names, row).transpose());
        let devices = devices.collect::<Result<_, _>>()?;
        Ok(Listing::first_of(devices, page.limit, |last: &Device| last.key.clone()))
    }

    async fn request_wipe(&self, request: &WipeRequest) -> Result<RequestWipe, StoreError> {
        let request = request.clone();
        let answer = self.run(move |batch| request_wipe(batch, &request)).await?;
        if let RequestWipe::Requested(revoked)
        | RequestWipe::Pending(revoked)
        | RequestWipe::Wiped(revoked) = answer
        {
            self.saw_revocation(revoked);
        }
        Ok(answer)
    }

    async fn advance_wipe(&self, advance: &WipeAdvance) -> Result<AdvanceWipe, StoreError> {
        let advance = advance.clone();
        self.run(move |batch| {
            let Some(mut device) = find(batch, &advance.key)? else {
                return Ok(AdvanceWipe::Refused);
            };
            let answer = device.advance_wipe(&advance);
            if answer == AdvanceWipe::Advanced {
                change(batch, &device)?;
            }
            Ok(answer)
        })
        .await
    }

    async fn note_policy(&self, key: &DeviceKey, version: &str) -> Result<(), StoreError> {
        let (key, version) = (key.clone(), version.to_owned());
        self.run(move |batch| {
            let (sql, names) = (batch.sql, batch.names.clone());
            batch.execute(of_key(&sql.note_policy, &names, &key).bind(version.as_str()))?;
            Ok(())
        })
        .await
    }

    async fn prune_devices(&self, now: UnixTime, limit: usize) -> Result<Pruned, StoreError> {
        let limit = i64::try_from(limit.min(MAX_PRUNED)).unwrap_or(0);
        self.run(move |batch| {
            let (sql, now) = (batch.sql, now.as_millis());
            let prune = sqlx::query(sql.prune_devices.clone()).bind(now).bind(limit);
            let removed = usize::try_from(batch.execute(prune)?).unwrap_or(usize::MAX);
            let row = batch.one(sqlx::query(sql.has_old_devices.clone()).bind(now))?;
            Ok(Pruned { removed, more: row.try_get("has_old")? })
        })
        .await
    }
}

/// Binds the key of a device as the first parameters of a statement.
fn of_key<'q>(sql: &SqlStr, names: &Names, key: &'q DeviceKey) -> Bound<'q> {
    sqlx::query(sql.clone())
        .bind(names.write(key.client_id.as_str()))
        .bind(names.write(key.subject.as_str()))
        .bind(key.device_id.as_str())
}

/// Reads the device in a row, unless it is of another issuer.
fn device(names: &Names, row: &SqliteRow) -> Result<Option<Device>, StoreError> {
    columns(row).map_err(StoreError::new)?.into_device(names)
}

fn columns(row: &SqliteRow) -> Result<DeviceRow, sqlx::Error> {
    Ok(DeviceRow {
        client_id: row.try_get("client_id")?,
        subject: row.try_get("subject")?,
        device: row.try_get("device")?,
        name: row.try_get("name")?,
        first_seen: row.try_get("first_seen")?,
        last_seen: row.try_get("last_seen")?,
        installed_at: row.try_get("installed_at")?,
        wipe: WipeColumns {
            state: row.try_get("wipe")?,
            ordered_at: row.try_get("ordered_at")?,
            ordered_by: row.try_get("ordered_by")?,
            wiped_at: row.try_get("wiped_at")?,
        },
        policy: row.try_get("policy")?,
        grant_id: row.try_get("grant_id")?,
        salt_digest: row.try_get("salt_digest")?,
        keep_until: row.try_get("keep_until")?,
    })
}

fn see(batch: &mut Batch<'_>, sighting: &DeviceSighting) -> Result<SeeDevice, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let seen = batch.execute(
        of_key(&sql.see_device, &names, &sighting.key)
            .bind(sighting.name.as_deref())
            .bind(sighting.now.as_millis())
            .bind(&sighting.grant_id.as_bytes()[..])
            .bind(&sighting.salt_digest.as_bytes()[..])
            .bind(sighting.keep_until.as_millis())
            .bind(sighting.authorized_at.as_millis()),
    )?;
    if seen == 0 {
        return Ok(SeeDevice::ToBeWiped);
    }
    batch.execute(of_key(&sql.crowd_out_devices, &names, &sighting.key).bind(MAX_OTHERS))?;
    Ok(SeeDevice::Seen)
}

fn find(batch: &mut Batch<'_>, key: &DeviceKey) -> Result<Option<Device>, Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let found = batch.find(of_key(&sql.find_device, &names, key))?;
    Ok(found.map(|row| device(&names, &row)).transpose()?.flatten())
}

/// Writes the wipe of a device back.
fn change(batch: &mut Batch<'_>, device: &Device) -> Result<(), Failed> {
    let (sql, names) = (batch.sql, batch.names.clone());
    let wipe = WipeColumns::of(&device.wipe);
    batch.execute(
        of_key(&sql.change_device, &names, &device.key)
            .bind(wipe.state)
            .bind(wipe.ordered_at)
            .bind(wipe.ordered_by)
            .bind(wipe.wiped_at)
            .bind(device.keep_until.as_millis()),
    )?;
    Ok(())
}

/// Orders the wipe and ends access, in the transaction of the batch.
fn request_wipe(batch: &mut Batch<'_>, request: &WipeRequest) -> Result<RequestWipe, Failed> {
    let Some(mut device) = find(batch, &request.key)? else { return Ok(RequestWipe::Unknown) };
    let before = device.clone();
    let answer = device.order_wipe(request);
    if device != before {
        change(batch, &device)?;
    }
    Ok(answer(steps::revoke(batch, &request.revocation())?))
}
